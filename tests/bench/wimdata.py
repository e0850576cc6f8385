#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an install.wim is full of: data that hardly shrinks, data that does, and many small files in
many directories. The same every time. None is so dense that it would be stored as it is: wimlib tries
to compress that anew whenever it writes a WIM as a whole.

wimdata.py DIRECTORY DENSE_MIB TEXT_MIB FILES
"""
import os
import random
import sys

PIECE = 32


def main():
    top, dense, text, files = sys.argv[1], *map(int, sys.argv[2:5])
    dice = random.Random(1)
    # seven bits a byte; four
    letters = {"dense": bytes(b % 128 for b in range(256)),
               "text": bytes(b"etaoinshrdlucmfw"[b % 16] for b in range(256))}
    os.makedirs(top)
    for kind, mib in (("dense", dense), ("text", text)):
        for i in range(0, mib, PIECE):
            with open(os.path.join(top, f"{kind}-{i}.bin"), "wb") as f:
                f.write(dice.randbytes(min(PIECE, mib - i) << 20).translate(letters[kind]))
    for i in range(files):
        under = os.path.join(top, f"amd64_component-{i // 100:04}")
        if i % 100 == 0:
            os.mkdir(under)
        with open(os.path.join(under, f"file-{i:06}.mui"), "w", encoding="ascii") as f:
            f.write(f"content of file {i}\n" * (1 + i % 7))


main()
