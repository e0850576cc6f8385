#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sparse file with pseudo-random data in scattered runs of 64 KiB to 8 MiB, the same every time.

scatter.py FILE SIZE_MIB DATA_MIB
"""
import os
import random
import sys

MIB = 1 << 20


def main():
    path, size, left = sys.argv[1], int(sys.argv[2]) * MIB, int(sys.argv[3]) * MIB
    dice = random.Random(20261120)
    noise = dice.randbytes(16 * MIB)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.ftruncate(fd, size)
    # one run in each equal part of the disk: they do not overlap
    runs = []
    while left > 0:
        runs.append(min(left, dice.choice((65536, 262144, MIB, 4 * MIB, 8 * MIB))))
        left -= runs[-1]
    part = size // len(runs) // 4096 * 4096
    for i, n in enumerate(runs):
        n = min(n, part)
        at = i * part + dice.randrange((part - n) // 4096 + 1) * 4096
        start = dice.randrange(len(noise) - n)
        os.pwrite(fd, noise[start:start + n], at)
    os.fsync(fd)
    os.close(fd)


main()
