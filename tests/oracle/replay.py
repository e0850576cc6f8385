#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transaction logs of a registry hive: what would Windows apply? A second opinion on src/hive,
written from the format's specification ("Windows registry file format specification" of
msuhanov/regf) and not from ibbake's own sources.

replay.py HIVE [LOG...] -o OUT           bring HIVE up to date; LOGs as they lie beside it
                                         (.LOG, .LOG1, .LOG2); exit 0: clean or replayed,
                                         3: refused
replay.py HIVE [LOG...] --force-dirty    as if a crash had left HIVE dirty, in several ways: would
                                         anything of the logs be applied over it? exit 0: nothing,
                                         1: something
"""
import argparse
import collections
import struct
import sys

BASE = 4096       # bytes of the base block in front of the hive bins
SECTOR = 512      # of a log: its base block is one, entries and pages begin on one
PRIMARY, OLD_LOG, NEW_LOG = 0, 1, 6
MASK = 0xFFFFFFFF

Entry = collections.namedtuple("Entry", "sequence flags bins pages at")
Result = collections.namedtuple("Result", "data applied notes")


class Refused(Exception):
    """Dirty, and no log makes it clean."""


# ---- the base block ----

def checksum(block):
    x = 0
    for (word,) in struct.iter_unpack("<I", block[:508]):
        x ^= word
    return {0: 1, MASK: MASK - 1}.get(x, x)


class BaseBlock:
    """The first 512 bytes of a hive or of a log."""

    def __init__(self, data):
        self.whole = len(data) >= SECTOR and data[:4] == b"regf"
        if not self.whole:
            return
        self.seq1, self.seq2, self.written = struct.unpack_from("<IIQ", data, 4)
        self.type, _, self.root, self.bins = struct.unpack_from("<IIII", data, 28)
        self.sound = struct.unpack_from("<I", data, 508)[0] == checksum(data)

    @property
    def dirty(self):
        return not self.sound or self.seq1 != self.seq2


def patch(data, seq1, seq2, break_checksum=False):
    """The hive with other sequence numbers; its checksum is right, or by intent wrong."""
    out = bytearray(data)
    struct.pack_into("<II", out, 4, seq1 & MASK, seq2 & MASK)
    struct.pack_into("<I", out, 508, checksum(out) ^ (0x5A5A5A5A if break_checksum else 0))
    return bytes(out)


# ---- Marvin32 ----

def marvin32(data, lo=0x7A4E55C5, hi=0x82EF4D88):
    """64 bits, as two little-endian words: the lower first."""
    tail = len(data) % 4
    padded = bytes(data) + b"\x80" + bytes(3 - tail)
    words = struct.unpack(f"<{len(padded) // 4}I", padded)
    for word in words + (0,):     # the padded word, and once more nothing
        lo = (lo + word) & MASK
        hi ^= lo
        lo = (lo << 20 | lo >> 12) & MASK
        lo = (lo + hi) & MASK
        hi = (hi << 9 | hi >> 23) & MASK
        hi ^= lo
        lo = (lo << 27 | lo >> 5) & MASK
        lo = (lo + hi) & MASK
        hi = (hi << 19 | hi >> 13) & MASK
    return hi << 32 | lo


# ---- logs ----

def read_entry(log, at):
    """(Entry, where the next begins), or (None, why not)."""
    if len(log) - at < 40 or log[at:at + 4] != b"HvLE":
        return None, "no entry"
    size, flags, sequence, bins, n, hash1, hash2 = struct.unpack_from("<IIIIIQQ", log, at + 4)
    if size < 40 or size % SECTOR or size > len(log) - at:
        return None, f"entry {sequence}: its size {size} is impossible"
    if marvin32(log[at:at + 32]) != hash2:
        return None, f"entry {sequence}: its second hash is wrong"
    if marvin32(log[at + 40:at + size]) != hash1:
        return None, f"entry {sequence}: its first hash is wrong"
    if bins % 4096 or bins == 0:
        return None, f"entry {sequence}: {bins} bytes of hive bins"
    pages, where = [], at + 40 + 8 * n
    for i in range(n):
        if at + 48 + 8 * i > at + size:
            return None, f"entry {sequence}: its list of pages does not fit"
        offset, length = struct.unpack_from("<II", log, at + 40 + 8 * i)
        if where + length > at + size or offset + length > bins:
            return None, f"entry {sequence}: page {i} does not fit"
        pages.append((offset, log[where:where + length]))
        where += length
    return Entry(sequence, flags, bins, pages, at), at + size


class Log:
    """A log: what it is, whether its base block is sound, its entries as far as they go on."""

    def __init__(self, name, data):
        self.name, self.data, self.base = name, data, BaseBlock(data)
        self.entries, self.end = [], ""
        if not data.strip(b"\0"):
            self.kind, self.why = "empty", "empty"
        elif not self.base.whole:
            self.kind, self.why = "unknown", "no base block"
        else:
            self.kind = {OLD_LOG: "old", NEW_LOG: "new"}.get(self.base.type, "unknown")
            self.why = self.fault()
            if self.kind == "new":
                self.read_entries()

    def fault(self):
        if self.kind == "unknown":
            return f"file type {self.base.type}"
        if not self.base.sound:
            return "the checksum of its base block is wrong"
        if self.base.seq1 != self.base.seq2:
            return f"its sequence numbers differ ({self.base.seq1}, {self.base.seq2})"
        if self.kind == "old" and self.data[SECTOR:SECTOR + 4] != b"DIRT":
            return "no dirty vector"
        return ""

    def read_entries(self):
        """The entries that follow each other without a gap. The first has the number that the base
        block has: both are written when the log is begun anew."""
        at = SECTOR
        while True:
            entry, nxt = read_entry(self.data, at)
            if not entry:
                self.end = nxt
                return
            want = self.entries[-1].sequence + 1 & MASK if self.entries else self.base.seq1
            if entry.sequence != want:
                self.end = f"entry {entry.sequence}, not {want}"
                return
            self.entries.append(entry)
            at = nxt

    def remnants(self):
        """Every sound entry, wherever it stands."""
        at = SECTOR
        while 0 <= (at := self.data.find(b"HvLE", at)):
            entry = None
            if at % SECTOR == 0:
                entry, nxt = read_entry(self.data, at)
            if entry:
                yield entry
            at = nxt if entry else at + 4

    def dirty_pages(self):
        """The old format: (offset in the hive bins, 512 bytes)."""
        n = self.base.bins // 512
        bitmap = self.data[SECTOR + 4:SECTOR + 4 + (n + 7) // 8]
        if len(bitmap) < (n + 7) // 8:
            raise Refused(f"{self.name}: the dirty vector is cut off")
        at = SECTOR + (4 + len(bitmap) + SECTOR - 1) // SECTOR * SECTOR
        for i in range(n):
            if bitmap[i // 8] >> i % 8 & 1:
                if at + 512 > len(self.data):
                    raise Refused(f"{self.name}: the dirty pages are cut off")
                yield i * 512, self.data[at:at + 512]
                at += 512


# ---- applying ----

def resize(hive, bins):
    """Room for so many bytes of hive bins. A file may be longer than it has to be."""
    if len(hive) < BASE + bins:
        hive.extend(bytes(BASE + bins - len(hive)))


def finish(hive, log, sequence, bins, flags=None):
    """The base block after the last entry: root, time and the rest as the log's base block has."""
    block = bytearray(log.data[:SECTOR])
    struct.pack_into("<II", block, 4, sequence, sequence)
    struct.pack_into("<I", block, 28, PRIMARY)
    struct.pack_into("<I", block, 40, bins)
    if flags is not None:
        old = struct.unpack_from("<I", block, 144)[0]
        struct.pack_into("<I", block, 144, old & ~1 | flags & 1)
    struct.pack_into("<I", block, 508, checksum(block))
    hive[:SECTOR] = block


def apply_entries(hive, log, notes):
    n_bytes = 0
    for entry in log.entries:
        resize(hive, entry.bins)
        for offset, page in entry.pages:
            hive[BASE + offset:BASE + offset + len(page)] = page
            n_bytes += len(page)
    last = log.entries[-1]
    finish(hive, log, last.sequence, last.bins, last.flags)
    notes.append(f"{log.name}: applied {len(log.entries)} entries, {log.entries[0].sequence} to "
                 f"{last.sequence}, {n_bytes} bytes; then: {log.end}")
    return len(log.entries)


def replay_new(hive, base, logs, notes):
    usable = [log for log in logs if log.kind == "new" and not log.why]
    if not base.sound:
        # A base block is taken from the newest log, and then only that log is known to fit it.
        usable = sorted((log for log in usable if log.entries),
                        key=lambda log: log.entries[-1].sequence)[-1:]
        return sum(apply_entries(hive, log, notes) for log in usable)
    n, last = 0, None
    for log in sorted(usable, key=lambda log: log.base.seq1):
        first = log.base.seq1
        if last is None and first < base.seq2:
            notes.append(f"{log.name}: begins with {first}, older than the hive's {base.seq2}")
        elif last is not None and first != last + 1 & MASK:
            notes.append(f"{log.name}: begins with {first}, and does not go on from {last}")
        elif log.entries:
            n += apply_entries(hive, log, notes)
            last = log.entries[-1].sequence
        else:
            # It was begun, and what it began with is lost: a later log does not make up for that.
            notes.append(f"{log.name}: {log.end}")
            last = first - 1
    return n


def check_old_bins(hive, log, pages):
    """Where the pages leave no hive bin, or None. Windows would keep what came before it; half of a
    write is of no use to us."""
    at, merged = 0, dict(pages)

    def head(offset):
        page = merged.get(offset)
        return page if page is not None else bytes(hive[BASE + offset:BASE + offset + 512])

    while at < log.base.bins:
        magic, offset, size = struct.unpack_from("<4sII", head(at) + bytes(12))
        if magic != b"hbin" or offset != at or size < 4096 or size % 4096:
            return at
        at += size
    return None


def replay_old(hive, base, logs, notes):
    for log in logs:
        if log.kind != "old" or log.why:
            continue
        # The time in the first hive bin stands in for that of a base block that is damaged.
        written = base.written if base.sound else struct.unpack_from("<Q", hive, BASE + 20)[0]
        if log.base.written != written:
            notes.append(f"{log.name}: written at {log.base.written}, the hive at {written}")
            continue
        pages = list(log.dirty_pages())
        bad = check_old_bins(hive, log, pages)
        if bad is not None:
            raise Refused(f"{log.name}: no hive bin at 0x{bad:x} after its pages")
        resize(hive, log.base.bins)
        for offset, page in pages:
            hive[BASE + offset:BASE + offset + 512] = page
        finish(hive, log, log.base.seq1, log.base.bins)
        notes.append(f"{log.name}: applied {len(pages)} pages of 512 bytes")
        return 1
    return 0


def replay(data, logs):
    """logs: Log objects in the order .LOG, .LOG1, .LOG2. Raises Refused."""
    base, notes = BaseBlock(data), []
    if not base.whole:
        raise Refused("no base block")
    if not base.dirty:
        return Result(bytes(data), 0, ["clean; logs are not looked at"])
    notes += [f"{log.name}: {log.why}" for log in logs if log.why]
    hive = bytearray(data)
    n = replay_new(hive, base, logs, notes) or replay_old(hive, base, logs, notes)
    if not n:
        raise Refused("; ".join(notes) or "there is no log")
    at = 0
    bins = BaseBlock(hive).bins
    while at < bins:
        magic, offset, size = struct.unpack_from("<4sII", hive, BASE + at)
        if magic != b"hbin" or offset != at or size < 4096 or size % 4096 or at + size > bins:
            raise Refused("; ".join(notes) + f"; then there is no hive bin at 0x{at:x}")
        at += size
    return Result(bytes(hive), n, notes)


# ---- would anything be applied over a hive that is dirty again? ----

def dirty_again(data):
    """(how, bytes): the ways in which a crash, or a fault of the disk, leaves a hive dirty."""
    base = BaseBlock(data)
    yield "a write was begun", patch(data, base.seq1 + 1, base.seq2)
    yield "a write was begun, counted from below", patch(data, base.seq1, base.seq2 - 1)
    yield "the second number ran ahead", patch(data, base.seq1, base.seq2 + 1)
    yield "the checksum is wrong", patch(data, base.seq1, base.seq2, break_checksum=True)
    zeros = bytearray(data)
    zeros[:SECTOR] = b"regf" + bytes(SECTOR - 4)
    struct.pack_into("<I", zeros, 508, 0x5A5A5A5A)
    yield "the base block is lost", bytes(zeros)


def would_apply(data, logs):
    """Lines that say what would be applied, under the strictest reading of the rules or the widest:
    every sound entry, remnants too, of a log whose base block is sound."""
    found = []
    for how, dirty in dirty_again(data):
        try:
            result = replay(dirty, logs)
            if result.applied:
                found.append(f"{how}: {'; '.join(result.notes)}")
        except Refused:
            pass
    base = BaseBlock(data)
    for log in logs:
        if log.kind == "new" and not log.why:
            late = [e.sequence for e in log.remnants() if e.sequence >= base.seq2 - 1]
            if late:
                found.append(f"{log.name}: sound entries {min(late)} to {max(late)} are not older "
                             f"than the hive's {base.seq2}")
    return found


def main():
    p = argparse.ArgumentParser(description="Replay the transaction logs of a registry hive.")
    p.add_argument("hive")
    p.add_argument("logs", nargs="*")
    p.add_argument("-o", dest="out")
    p.add_argument("--force-dirty", action="store_true")
    args = p.parse_args()
    with open(args.hive, "rb") as f:
        data = f.read()
    logs = []
    for name in args.logs:
        with open(name, "rb") as f:
            logs.append(Log(name, f.read()))
    if args.force_dirty:
        if not BaseBlock(data).whole:
            print(f"{args.hive}: no base block")
            return 3
        found = would_apply(data, logs)
        print("\n".join(found) or "nothing would be applied")
        return 1 if found else 0
    try:
        result = replay(data, logs)
    except Refused as e:
        print(f"refused: {e}")
        return 3
    print("\n".join(result.notes))
    if args.out:
        with open(args.out, "wb") as f:
            f.write(result.data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
