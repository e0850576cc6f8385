#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a registry hive put together as Windows puts hives together? The readers of hive_readers.py
follow pointers and little else; Windows finds a key by hash and by order, frees what nothing refers
to, and believes counts. Written from the format's specification ("Windows registry file format
specification" of msuhanov/regf), not from ibbake's sources.

hive_structure.py HIVE...     exit 0: nothing is wrong
"""
import functools
import struct
import sys

NONE = 0xFFFFFFFF
SEGMENT = 16344      # bytes of a segment of big data


class Wrong(Exception):
    """Something of the hive is not as it has to be."""


def upcase(units):
    """Upper case of UTF-16 units, or None when it is not beyond doubt what Windows makes of them."""
    out = []
    for c in units:
        if 0x61 <= c <= 0x7A or (0xE0 <= c <= 0xFE and c != 0xF7) or 0x430 <= c <= 0x44F or \
                (0x3B1 <= c <= 0x3C9 and c != 0x3C2):
            c -= 0x20
        elif 0x450 <= c <= 0x45F:
            c -= 0x50
        elif not (c < 0xB5 or 0xB5 < c < 0xFF or 0x391 <= c <= 0x3AB or 0x400 <= c <= 0x42F or
                  0x4E00 <= c <= 0x9FFF or 0xAC00 <= c <= 0xDFFF):
            return None
        out.append(c)
    return tuple(out)


@functools.lru_cache(200_000)
def name_of(raw, latin1):
    """(how many UTF-16 units, them in upper case or None, their hash or None)."""
    units = list(raw) if latin1 else list(struct.unpack(f"<{len(raw) // 2}H", raw))
    upper = upcase(units)
    return len(units), upper, None if upper is None else name_hash(upper)


def name_hash(units):
    h = 0
    for c in units:
        h = (h * 37 + c) & NONE
    return h


class Hive:
    def __init__(self, data):
        self.data, self.cells, self.used = data, {}, set()
        self.sk_refs, self.keys, self.values, self.unsure, self.leaked = {}, 0, 0, 0, 0
        self.base_block()
        self.bins()

    def base_block(self):
        d = self.data
        if len(d) < 4096 or d[:4] != b"regf":
            raise Wrong("no base block")
        seq1, seq2 = struct.unpack_from("<II", d, 4)
        if seq1 != seq2:
            raise Wrong(f"sequence numbers {seq1} and {seq2}")
        x = 0
        for (word,) in struct.iter_unpack("<I", d[:508]):
            x ^= word
        if struct.unpack_from("<I", d, 508)[0] != {0: 1, NONE: NONE - 1}.get(x, x):
            raise Wrong("the checksum of the base block")
        self.minor, ftype, fformat, self.root, self.size = struct.unpack_from("<IIIII", d, 24)
        if ftype or fformat != 1 or self.size % 4096 or 4096 + self.size > len(d):
            raise Wrong(f"base block: type {ftype}, format {fformat}, {self.size} bytes of bins")

    def bins(self):
        at, end = 0, self.size
        while at < end:
            magic, offset, size = struct.unpack_from("<4sII", self.data, 4096 + at)
            if magic != b"hbin" or offset != at or size % 4096 or not size or at + size > end:
                raise Wrong(f"hive bin at 0x{at:x}")
            cell, bin_end = at + 32, at + size
            while cell < bin_end:
                n = struct.unpack_from("<i", self.data, 4096 + cell)[0]
                if n == 0 or abs(n) % 8 or cell + abs(n) > bin_end:
                    raise Wrong(f"cell at 0x{cell:x}: size {n}")
                self.cells[cell] = n
                cell += abs(n)
            at = bin_end

    def cell(self, at, n, what, shared=False):
        """Where the content of a cell begins in the file; it is taken, and holds n bytes."""
        size = self.cells.get(at)
        if size is None or size > 0:
            raise Wrong(f"{what}: no allocated cell at 0x{at:x}")
        if -size - 4 < n:
            raise Wrong(f"{what}: the cell at 0x{at:x} has {-size - 4} bytes, not {n}")
        if at in self.used and not shared:
            raise Wrong(f"{what}: the cell at 0x{at:x} is used twice")
        self.used.add(at)
        return 4100 + at

    # ---- keys ----

    def walk(self):
        todo = [(self.root, None)]
        while todo:
            at, parent = todo.pop()
            todo += [(sub, at) for sub in self.key(at, parent)]
        self.security()
        self.leaked = sum(-n for at, n in self.cells.items() if n < 0 and at not in self.used)

    def key(self, at, parent):
        p = self.cell(at, 76, "key", shared=True)   # its list took it
        magic, flags, _, _, up, n_sub, _, subs, _, n_val, vals, sk, cls = \
            struct.unpack_from("<2sHQIIIIIIIIII", self.data, p)
        max_sub, max_class, max_name, max_data, _, name_len, class_len = \
            struct.unpack_from("<IIIIIHH", self.data, p + 52)
        what = f"key at 0x{at:x}"
        if magic != b"nk" or bool(flags & 4) != (parent is None):
            raise Wrong(f"{what}: {magic}, flags 0x{flags:x}")
        if parent is not None and up != parent:
            raise Wrong(f"{what}: its parent is 0x{parent:x}, it says 0x{up:x}")
        self.cell(at, 76 + name_len, what, shared=True)
        self.keys += 1
        self.sk_refs[sk] = self.sk_refs.get(sk, 0) + 1
        if class_len:
            self.cell(cls, class_len, f"{what}, class name")
        if n_val:
            longest, largest = self.value_list(vals, n_val, what)
            if longest > max_name or largest > max_data:
                raise Wrong(f"{what}: values' names to {longest} bytes, data to {largest}; it says "
                            f"{max_name} and {max_data}")
        return self.subkeys(subs, n_sub, max_sub & 0xFFFF, max_class, what) if n_sub else []

    def subkeys(self, at, n, max_name, max_class, what):
        found = list(self.subkey_list(at, what, True))
        if len(found) != n:
            raise Wrong(f"{what}: {len(found)} subkeys are listed, {n} counted")
        last = None
        for sub, kind, hint in found:
            p = self.cell(sub, 76, f"{what}, subkey")
            flags = struct.unpack_from("<H", self.data, p + 2)[0]
            name_len, class_len = struct.unpack_from("<HH", self.data, p + 72)
            raw = self.data[p + 76:p + 76 + name_len]
            length, upper, hashed = name_of(raw, bool(flags & 0x20))
            if 2 * length > max_name or class_len > max_class:
                raise Wrong(f"{what}: a subkey's name has {2 * length} bytes, its class "
                            f"{class_len}; it says {max_name} and {max_class}")
            if upper is None:
                self.unsure += 1
                last = None
                continue
            if kind == b"lh" and hint != struct.pack("<I", hashed):
                raise Wrong(f"{what}: subkey 0x{sub:x}: hash {hint.hex()}")
            if kind == b"lf" and flags & 0x20 and hint != raw[:4].ljust(4, b"\0"):
                raise Wrong(f"{what}: subkey 0x{sub:x}: hint {hint}")
            if last is not None and upper <= last:
                raise Wrong(f"{what}: subkey 0x{sub:x} is out of order")
            last = upper
        return [sub for sub, _, _ in found]

    def subkey_list(self, at, what, root):
        p = self.cell(at, 4, f"{what}, list of subkeys")
        kind, n = struct.unpack_from("<2sH", self.data, p)
        width = {b"lf": 8, b"lh": 8, b"li": 4, b"ri": 4}.get(kind)
        if not width or not n or (kind == b"ri" and not root):
            raise Wrong(f"{what}: list at 0x{at:x}: {kind} of {n}")
        self.cell(at, 4 + width * n, f"{what}, list of subkeys", shared=True)
        for i in range(n):
            sub = struct.unpack_from("<I", self.data, p + 4 + width * i)[0]
            if kind == b"ri":
                yield from self.subkey_list(sub, what, False)
            else:
                yield sub, kind, self.data[p + 8 + width * i:p + 12 + width * i]

    # ---- values ----

    def value_list(self, at, n, what):
        p = self.cell(at, 4 * n, f"{what}, list of values")
        longest = largest = 0
        names = set()
        for i, vk in enumerate(struct.unpack_from(f"<{n}I", self.data, p)):
            q = self.cell(vk, 20, f"{what}, value {i}")
            magic, name_len, size, data, _, flags = struct.unpack_from("<2sHIIIH", self.data, q)
            if magic != b"vk":
                raise Wrong(f"{what}, value {i}: {magic}")
            self.cell(vk, 20 + name_len, f"{what}, value {i}", shared=True)
            raw = self.data[q + 20:q + 20 + name_len]
            length, upper, _ = name_of(raw, bool(flags & 1))
            if (upper or raw) in names:
                raise Wrong(f"{what}: two values of one name (value {i})")
            names.add(upper or raw)
            self.values += 1
            self.value_data(size, data, f"{what}, value {i}")
            longest = max(longest, 2 * length)
            largest = max(largest, size & 0x7FFFFFFF)
        return longest, largest

    def value_data(self, size, at, what):
        if size & 0x80000000:
            if size & 0x7FFFFFFF > 4:
                raise Wrong(f"{what}: {size & 0x7FFFFFFF} bytes in the record")
        elif size > SEGMENT and self.minor > 3:
            self.big_data(size, at, what)
        elif size:
            self.cell(at, size, f"{what}, data")

    def big_data(self, size, at, what):
        p = self.cell(at, 8, f"{what}, big data")
        magic, n, offset = struct.unpack_from("<2sHI", self.data, p)
        if magic != b"db" or n != (size + SEGMENT - 1) // SEGMENT:
            raise Wrong(f"{what}: big data: {magic} of {n}, for {size} bytes")
        p = self.cell(offset, 4 * n, f"{what}, segments")
        for i, segment in enumerate(struct.unpack_from(f"<{n}I", self.data, p)):
            # Windows gives the last one as large a cell as the others: in all 22 big values of the
            # real hives at hand. hivex and libregf take a cell's last four bytes for padding, and
            # lose up to four bytes of data that a smaller cell leaves no room behind.
            self.cell(segment, SEGMENT, f"{what}, segment {i}")

    # ---- security ----

    def security(self):
        """The descriptors are a ring, without one that no key has, and count their keys."""
        start = at = next(iter(self.sk_refs))
        seen = {}
        while True:
            p = self.cell(at, 20, f"security descriptor 0x{at:x}")
            magic, _, after, before, refs, size = struct.unpack_from("<2sHIIII", self.data, p)
            self.cell(at, 20 + size, f"security descriptor 0x{at:x}", shared=True)
            if magic != b"sk":
                raise Wrong(f"security descriptor at 0x{at:x}: {magic}")
            seen[at] = (after, before)
            if refs != self.sk_refs.get(at, 0):
                raise Wrong(f"security descriptor 0x{at:x}: {self.sk_refs.get(at, 0)} keys have "
                            f"it, {refs} are counted")
            if after == start:
                break
            at = after
        for at, (after, _) in seen.items():
            if seen[after][1] != at:
                raise Wrong(f"security descriptor 0x{at:x}: the ring does not lead back")
        if set(self.sk_refs) - set(seen):
            raise Wrong("a key's security descriptor is not in the ring")


def check(data):
    """A Hive, or Wrong. In .leaked are the bytes that nothing refers to: Windows leaves some."""
    hive = Hive(data)
    try:
        hive.used.add(hive.root)
        hive.walk()
    except struct.error as e:
        raise Wrong(f"something lies outside the file: {e}") from e
    return hive


def main():
    bad = 0
    for path in sys.argv[1:]:
        try:
            with open(path, "rb") as f:
                hive = check(f.read())
            print(f"{path}: {hive.keys} keys, {hive.values} values, {hive.leaked} bytes leaked; "
                  f"{hive.unsure} names not judged")
        except Wrong as e:
            print(f"{path}: {e}")
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
