# SPDX-License-Identifier: GPL-3.0-or-later
"""Every state that a power cut could leave of what a program did to a directory; the program's
writes come from tests/support/powercut.c."""
import os

SECTOR = 512


class Op:
    def __init__(self, kind, ino, off, name, data):
        self.kind, self.ino, self.off, self.name, self.data = kind, ino, off, name, data

    def __repr__(self):
        return f"{self.kind} {self.ino} {self.off}+{len(self.data)} {self.name}"


def read_record(path):
    ops = []
    with open(path, "rb") as f:
        while True:
            line = f.readline()
            if not line:
                return ops
            kind, ino, off, n, name = line.decode().rstrip("\n").split(" ", 4)
            data = f.read(int(n)) if kind == "write" else b""
            ops.append(Op(kind, int(ino), int(off), name, data))


class Disk:
    """A directory behind a volatile cache. Only what an operation touched is kept of the image."""

    def __init__(self, directory, image, record):
        self.dir, self.image = directory, image
        self.dir_ino = os.stat(directory).st_ino
        self.ops = read_record(record)

    def image_ino(self):
        return os.stat(self.image).st_ino

    def durable(self, i, cut):
        op = self.ops[i]
        target = op.ino if op.kind in ("write", "truncate") else self.dir_ino
        return any(o.kind == "sync" and o.ino == target for o in self.ops[i + 1:cut])

    def after(self, cut, fate, dice=None):
        """({name: inode}, {inode: content}, [(offset, bytes)] of the image) when the power went
        after `cut` operations. fate: what no sync followed is "lost", "kept", or "mixed"."""
        names, contents, image, image_ino = {}, {}, [], self.image_ino()
        for i, op in enumerate(self.ops[:cut]):
            torn = False
            if op.kind == "sync":
                continue
            if not self.durable(i, cut):
                if fate == "lost" or (fate == "mixed" and dice.random() < 0.5):
                    continue
                torn = fate == "mixed" and dice.random() < 0.5
            if op.kind == "write":
                for off, piece in self.pieces(op, torn, dice):
                    if op.ino == image_ino:
                        image.append((off, piece))
                        continue
                    b = contents.setdefault(op.ino, bytearray())
                    b.extend(bytes(max(0, off + len(piece) - len(b))))
                    b[off:off + len(piece)] = piece
            elif op.kind in ("create", "link"):
                names[op.name] = op.ino
            elif op.kind == "rename":
                was, now = op.name.split("/")
                names[was] = None
                names[now] = op.ino
            elif op.kind == "unlink":
                names[op.name] = None
            else:
                raise ValueError(op)
        return names, contents, image

    @staticmethod
    def pieces(op, torn, dice):
        if not torn:
            yield op.off, op.data
            return
        for at in range(0, len(op.data), SECTOR):
            if dice.random() < 0.5:
                yield op.off + at, op.data[at:at + SECTOR]

    def touched(self):
        """[(offset, length)] of the image."""
        ino = self.image_ino()
        return [(o.off, len(o.data)) for o in self.ops if o.kind == "write" and o.ino == ino]
