#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hives before independent judges: hive_readers.py (hivex, libregf, reglookup), hive_structure.py
and replay.py.

hives.py read   --ibb-hive P --source DIR     real and odd hives read alike, or refused with reason
hives.py replay --ibb-hive P --source DIR     transaction logs: replay.py against Windows' own
                                              results, and src/hive against replay.py
hives.py edit   --ibb-hive P --source DIR     after random edits all readers see what a model holds

Exit status 77: skipped. IBB_ORACLES=all makes a missing reader a failure, IBB_REQUIRE_DATA=1
missing real material. IBB_HIVE_COMMITS (20) is how often `edit` commits and has the result judged,
IBB_TEST_SEED (1) where its random choices begin.
"""
import argparse
import functools
import glob
import multiprocessing
import os
import re
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import hive_readers  # noqa: E402
import hive_structure  # noqa: E402
import replay  # noqa: E402

WIN10, WIN7 = "win10-19041/SYSTEM", "win7/SYSTEM"
DIRTY = "win10-1709-dirty-with-logs/SYSTEM"

# How a hive is made readable first: as it is; header: the sequence numbers are made equal, its
# logs are lost or unusable; logs: replay.py applies them.
READABLE = {
    WIN10: "",
    WIN7: "",
    DIRTY: "logs",
    DIRTY + ".recovered": "",
    "win10-1903-dirty-no-logs/SYSTEM": "header",
    "win10mobile/DRIVERS": "",
    "odd/BigDataHive": "",
    "odd/DupNameHive": "",
    "odd/EmptyHive": "",
    "odd/ManySubkeysHive": "",
    "odd/UnicodeHive": "",
    "replay/NewDirtyHive1/NewDirtyHive": "logs",
    "replay/NewDirtyHive1/RecoveredHive_Windows10": "",
    "replay/BadLogHive1/BadLogHive": "header",
    "replay/BadLogHive2/BadLogHive": "header",
    "replay/BadLogHive3/BadLogHive": "header",
}

# What src/hive refuses as it lies there, and why it is right to.
REFUSED = {
    # One list of subkeys belongs to two keys: deleting below one would free what the other has.
    "odd/BadListHive": "names 0x380 as its parent, but 0x2e8 lists it",
    # One key is a subkey of two.
    "odd/BadSubkeyHive": "names 0x380 as its parent, but 0x2e8 lists it",
    # Windows searches lists by halves and would not find keys that are there.
    "odd/WrongOrderHive": "names are not in ascending order",
    "odd/TruncatedHive": "truncated",
    "odd/TruncatedDirtyHive": "sequence numbers 5 and 4 differ",
    DIRTY: "sequence numbers 1622 and 1621 differ",
    "win10-1903-dirty-no-logs/SYSTEM": "sequence numbers 4317 and 4316 differ",
    "replay/NewDirtyHive1/NewDirtyHive": "sequence numbers 3 and 2 differ",
    "replay/BadLogHive1/BadLogHive": "sequence numbers 5 and 4 differ",
    "replay/BadLogHive2/BadLogHive": "sequence numbers 5 and 4 differ",
    "replay/BadLogHive3/BadLogHive": "sequence numbers 3 and 2 differ",
}

# What readers see otherwise, after hive_readers.py has undone their ways of saying things:
# (hive, reader) -> (lines that only ours has, lines that only theirs has, who is right and why).
DISAGREEMENTS = {
}


class Failure(Exception):
    """Something is not as it ought to be."""


class Skip(Exception):
    """Something is not at hand."""


def need(condition, text):
    if not condition:
        raise Failure(text)


class World:
    def __init__(self, args, tmp):
        self.ibb_hive, self.tmp = args.ibb_hive, tmp
        data = os.environ.get("IBB_TEST_DATA") or os.path.join(args.source, "../shared/data")
        self.hives = os.path.join(data, "hives")
        self.have_data = os.path.isdir(self.hives)
        self.readers = find_readers() if args.case != "replay" else []
        if not self.have_data and os.environ.get("IBB_REQUIRE_DATA") == "1":
            raise Failure(f"IBB_REQUIRE_DATA=1, but {self.hives} is missing")

    def need_data(self):
        if not self.have_data:
            raise Skip(f"no test data ({self.hives})")

    def path(self, name):
        return os.path.join(self.hives, name)

    def ours(self, *args):
        return subprocess.run([self.ibb_hive, *args], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False)

    def can(self, command):
        """Was ibb-hive built with it?"""
        return f"ibb-hive {command} " in self.ours().stderr.decode()


def read_bytes(path):
    with open(path, "rb") as f:
        return f.read()


def logs_of(path):
    return [replay.Log(os.path.basename(p), read_bytes(p)) for p in log_paths(path)]


def log_paths(path):
    return [path + ext for ext in (".LOG", ".LOG1", ".LOG2") if os.path.exists(path + ext)]


def find_readers():
    """The readers there are. Fewer than all are better than none."""
    lacking = {r: why for r in hive_readers.READERS if (why := hive_readers.missing(r))}
    if lacking and os.environ.get("IBB_ORACLES") == "all":
        raise Failure(f"IBB_ORACLES=all, but not installed: {', '.join(lacking.values())}")
    readers = [r for r in hive_readers.READERS if r not in lacking]
    if not readers:
        raise Skip(f"not installed: {', '.join(lacking.values())}")
    if lacking:
        print(f"note: not installed: {', '.join(lacking.values())}")
    return readers


# ---- read ----

def readable(world, name, how):
    path = world.path(name)
    if not how:
        return path
    data = read_bytes(path)
    if how == "logs":
        data = replay.replay(data, logs_of(path)).data
    else:
        seq = struct.unpack_from("<I", data, 4)[0]
        data = replay.patch(data, seq, seq)
    path = os.path.join(world.tmp, name.replace("/", "-"))
    with open(path, "wb") as f:
        f.write(data)
    return path


def read_one(world, name, how):
    """What is wrong, one a line."""
    path = readable(world, name, how)
    out = world.ours("dump", path)
    if out.returncode:
        return f"{name}: refused: {out.stderr.decode()}"
    dump_path = os.path.join(world.tmp, name.replace("/", "-") + ".dump")
    with open(dump_path, "wb") as f:
        f.write(out.stdout)
    dump = hive_readers.load_dump(dump_path)
    faults = []
    for reader in world.readers:
        reading = hive_readers.Reading(reader, dump, path)
        ours, theirs, _ = DISAGREEMENTS.get((name, reader), ([], [], ""))
        if reading.error or reading.missing != ours or reading.extra != theirs:
            faults.append(f"{name}: {reading or 'agrees, though a disagreement is listed'}")
    keys = sum(line[0] == "K" for line in dump)
    print(f"{name}{f' ({how})' if how else ''}: {keys} keys, {len(dump) - keys} values")
    out = world.ours("check", path)
    counts = dict(line.split() for line in out.stdout.decode().splitlines())
    structure = hive_structure.check(read_bytes(path))
    want = (structure.keys, structure.values, structure.leaked == 0)
    got = tuple(int(counts.get(k, -1)) for k in ("keys", "values", "leaked"))
    if (*got[:2], got[2] == 0) != want or want[:2] != (keys, len(dump) - keys):
        faults.append(f"{name}: counts {got}, structure {want}, {out.stderr.decode()}")
    return "\n".join(faults)


def case_read(world):
    world.need_data()
    known = set(READABLE) | set(REFUSED)
    there = {os.path.relpath(p, world.hives) for p in glob.glob(world.path("**"), recursive=True)
             if os.path.isfile(p) and not re.search(r"\.(LOG\d?|txt)$", p)}
    need(known >= there, f"hives that no table has: {sorted(there - known)}")
    with multiprocessing.Pool(os.cpu_count()) as pool:
        faults = pool.starmap(read_one, [(world, *item) for item in READABLE.items()], 1)
    for name, reason in REFUSED.items():
        out = world.ours("check", world.path(name))
        text = out.stderr.decode()
        if out.returncode == 0 or reason not in text:
            faults.append(f"{name}: to be refused with '{reason}', but: {text or 'accepted'}")
    need(not any(faults), "\n".join(f for f in faults if f))
    print(f"{len(READABLE)} hives read alike, {len(REFUSED)} refused")


# ---- replay ----

def refusal(data, logs):
    try:
        return f"applied {replay.replay(data, logs).applied}"
    except replay.Refused as e:
        return str(e)


def same_bins(a, b):
    size = replay.BaseBlock(b).bins
    return replay.BaseBlock(a).bins == size and a[4096:4096 + size] == b[4096:4096 + size]


def replay_new_format(world):
    """Windows' own result, and that of another program, differ from ours in no byte of the bins."""
    for name, result in (("replay/NewDirtyHive1/NewDirtyHive",
                          "replay/NewDirtyHive1/RecoveredHive_Windows10"),
                         (DIRTY, DIRTY + ".recovered")):
        path = world.path(name)
        got = replay.replay(read_bytes(path), logs_of(path))
        need(same_bins(got.data, read_bytes(world.path(result))),
             f"{name}: replayed, it is not {result}")
        print(f"{name}: {'; '.join(got.notes)}")


def replay_bad_logs(world):
    for name, reason in (("BadLogHive1", "LOG1: the checksum of its base block is wrong"),
                         ("BadLogHive2", "LOG1: no dirty vector"),
                         ("BadLogHive3", "LOG2: the checksum of its base block is wrong")):
        path = world.path(f"replay/{name}/BadLogHive")
        got = refusal(read_bytes(path), logs_of(path))
        need(reason in got, f"{name}: to be refused with '{reason}', but: {got}")


def mended_old_logs(world):
    """(name, hive, log): the old format, which no sound log of the real material has: what was
    damaged on purpose in two logs is put right again."""
    for name in ("BadLogHive1", "BadLogHive2"):
        path = world.path(f"replay/{name}/BadLogHive")
        log = bytearray(read_bytes(path + ".LOG1"))
        log[512:516] = b"DIRT"
        seq1, seq2 = struct.unpack_from("<II", log, 4)
        yield name, read_bytes(path), replay.patch(bytes(log), seq1, seq2)


def replay_old_format(world):
    for name, data, log in mended_old_logs(world):
        got = replay.replay(data, [replay.Log("mended", log)])
        need(got.applied == 1, f"{name}: its mended log is not applied")
        hive_structure.check(got.data)
        print(f"{name}: {'; '.join(got.notes)}")


def replay_over_edits(world):
    """The proof that is asked of an image after edits can fail, and does not when it must not."""
    path = world.path(DIRTY)
    logs, data = logs_of(path), read_bytes(path)
    need(replay.would_apply(data, logs), "logs that are waiting are not seen")
    clean = read_bytes(path + ".recovered")
    need(replay.would_apply(clean, logs), "a replay over a recovered hive is not seen")
    blank = [replay.Log(log.name, bytes(4096) + log.data[4096:]) for log in logs]
    found = replay.would_apply(clean, blank)
    need(not found, f"logs without their base blocks would be applied: {found}")


def write(world, name, data):
    path = os.path.join(world.tmp, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


# By the specification a log whose base block is damaged is as good as absent, and the other one is
# applied. What it held is lost then; src/hive rather refuses. These it is to refuse, with this.
STRICTER = dict.fromkeys(("LOG1 damaged at 32", "LOG2 damaged at 4", "LOG2 damaged at 510"),
                         "another log is damaged, but holds entries that belong with these")


def recover_ours(world, name, hive, logs):
    """ibb_hive_recover() gives the bytes that replay.py gives, or refuses what it refuses."""
    out = os.path.join(world.tmp, "recovered")
    ran = world.ours("recover", hive, *logs, "-o", out)
    told = [replay.Log(os.path.basename(p), read_bytes(p)) for p in logs]
    try:
        want = replay.replay(read_bytes(hive), told)
    except replay.Refused as e:
        need(ran.returncode, f"{name}: src/hive recovers what is to be refused: {e}")
        return
    if name in STRICTER:
        need(STRICTER[name] in ran.stderr.decode(),
             f"{name}: to be refused with '{STRICTER[name]}', but: {ran.stderr.decode()}")
        return
    # Windows stops at a gap and loses what is behind it; src/hive asks first.
    last = replay.BaseBlock(want.data).seq1
    if want.applied and any(e.sequence > last for log in told if log.kind == "new"
                            for e in log.remnants()):
        need(ran.returncode and ": a gap" in ran.stderr.decode(),
             f"{name}: to be refused for a gap, but: {ran.stderr.decode()}")
        ran = world.ours("recover", hive, *logs, "-o", out, "--accept")
    need(ran.returncode == 0, f"{name}: {ran.stderr.decode()}")
    got = read_bytes(out)
    need(same_bins(got, want.data), f"{name}: src/hive and replay.py recover different bins")
    need(got[4:12] == want.data[4:12], f"{name}: sequence numbers {got[4:12].hex()}, not "
                                       f"{want.data[4:12].hex()}")
    need(not replay.BaseBlock(got).dirty, f"{name}: dirty after recovery")


def truncations(world):
    """(name, hive, logs): logs that end, or are damaged, in the middle of things."""
    path = world.path(DIRTY)
    first, second = (read_bytes(p) for p in log_paths(path)[-2:])
    for cut in (512, 513, 16384, 20000, 28672, 40960):
        yield f"LOG1 cut at {cut}", path, [first[:cut], second]
    for cut in (512, 11776, 12288, 400_000):
        yield f"LOG2 cut at {cut}", path, [first, second[:cut]]
    for at in (0x20, 600, 17000, 30000, 45000):
        yield f"LOG1 damaged at {at}", path, [first[:at] + b"\x5A\xA5" + first[at + 2:], second]
    for at in (4, 510, 12300, 350_000):
        yield f"LOG2 damaged at {at}", path, [first, second[:at] + b"\x5A\xA5" + second[at + 2:]]
    yield "LOG1 alone", path, [first]
    yield "LOG2 alone", path, [second]
    yield "logs exchanged", path, [second, first]
    seq = struct.unpack_from("<I", read_bytes(path), 8)[0]
    for name, data in (("checksum wrong", replay.patch(read_bytes(path), seq, seq, True)),
                       ("newer than LOG1", replay.patch(read_bytes(path), 2110, 2109)),
                       ("older than LOG2 by one", replay.patch(read_bytes(path), 2111, 2110)),
                       ("newer than all", replay.patch(read_bytes(path), 3001, 3000))):
        yield name, write(world, "dirty", data), [first, second]


def replay_ours(world):
    for name in READABLE:
        path = world.path(name)
        recover_ours(world, name, path, log_paths(path))
    for name, data, log in mended_old_logs(world):
        recover_ours(world, f"{name}, mended", write(world, "hive", data),
                     [write(world, "hive.LOG1", log)])
    n = 0
    for name, path, logs in truncations(world):
        paths = [write(world, f"cut.LOG{i + 1}", data) for i, data in enumerate(logs)]
        recover_ours(world, name, path, paths)
        n += 1
    print(f"src/hive recovers {len(READABLE)} hives, {n} with damaged or odd logs, as replay.py")


def case_replay(world):
    world.need_data()
    replay_new_format(world)
    replay_bad_logs(world)
    replay_old_format(world)
    replay_over_edits(world)
    if world.can("recover"):
        replay_ours(world)
    else:
        print("note: src/hive cannot recover hives yet")


# ---- edit ----

@functools.lru_cache(None)
def at_the_beginning(base, has_libregf):
    """(bytes leaked, class names of keys) of a hive that is to be edited."""
    lines = hive_readers.read_libregf(base) if has_libregf else []
    classes = dict(line.split("\t")[1:] for line in lines if line[0] == "C")
    return hive_structure.check(read_bytes(base)).leaked, classes


class Judge:
    """Holds every commit of one run of ibb-hive against the readers."""

    def __init__(self, world, base, where):
        self.where, self.readers = where, world.readers
        self.leaked, self.classes = at_the_beginning(base, "libregf" in world.readers)
        self.texts = {}      # of descriptors, as reglookup prints them

    def commit(self, hive, dump_path, new_path):
        dump = hive_readers.load_dump(dump_path)
        new = set(hive_readers.load_dump(new_path))
        keys = {line.split("\t", 2)[1] for line in dump if line[0] == "K"}
        try:
            judged = hive_structure.check(read_bytes(hive))
        except hive_structure.Wrong as e:
            raise Failure(f"{self.where}: {e}") from e
        need((judged.keys, judged.values) == (len(keys), len(dump) - len(keys)),
             f"{self.where}: {judged.keys} keys, {judged.values} values")
        need(judged.leaked <= self.leaked, f"{self.where}: {judged.leaked} bytes leaked")
        for reader in self.readers:
            reading = hive_readers.Reading(reader, dump, hive)
            need(reading.agrees, f"{self.where}: {reading}")
            if reader != "hivex" and "libregf" in self.readers:
                self.check_classes(reader, reading.classes, keys - new)
            for sd, texts in reading.descriptors.items():
                texts |= self.texts.setdefault(sd, texts)
                need(len(texts) == 1, f"{self.where}: descriptor {sd} reads {texts}")

    def check_classes(self, reader, classes, old):
        """Keys keep their class name; one that was deleted and made again has none."""
        quote = hive_readers.quote if reader == "reglookup" else None
        want = {path: quote(name.encode("ascii")) if quote else name
                for path, name in self.classes.items() if path in old}
        need(classes == want, f"{self.where}: {reader}: class names {classes}, not {want}")


def edit_run(world, base, seed, commits):
    """One run of ibb-hive, all of its commits judged; returns what it did, or what is wrong."""
    name = os.path.relpath(base, world.hives if world.have_data else world.tmp)
    args = ["--seed", str(seed), "--commits", str(commits), *(["--big"] if seed % 2 else [])]
    where = f"{name} {' '.join(args)}"
    try:
        with tempfile.TemporaryDirectory(dir=world.tmp) as out:
            began = time.monotonic()
            ran = world.ours("edit", base, *args, "-o", out)
            need(ran.returncode == 0, f"{where}: {ran.stderr.decode(errors='replace')}")
            edited = time.monotonic() - began
            judge = Judge(world, base, where)
            for no in range(1, commits + 1):
                judge.where = f"{where}: commit {no}"
                paths = [os.path.join(out, f"{no}.{ext}") for ext in ("hive", "dump", "new")]
                judge.commit(*paths)
                for path in paths:
                    os.unlink(path)
            last = ran.stdout.decode().splitlines()[-1]
            return "", f"{where}: {last} ({edited:.1f} s, judged in " \
                f"{time.monotonic() - began - edited:.1f} s)"
    except Failure as e:
        return str(e), ""


def bases(world):
    if world.have_data:
        return [world.path(name) for name in (WIN10, DIRTY + ".recovered", WIN7)]
    made = os.path.join(world.tmp, "made")
    ran = world.ours("make", made, "20000")
    need(ran.returncode == 0, ran.stderr.decode())
    return [made]


def break_and_judge(world):
    """The structure's judge would see what readers do not: it has to find damage done on purpose."""
    path = os.path.join(world.tmp, "small")
    need(world.ours("make", path, "300").returncode == 0, "ibb-hive make failed")
    data = read_bytes(path)
    hive_structure.check(data)
    lh, sk, nk = (data.index(magic) for magic in (b"lh", b"sk", b"nk"))
    for what, at in (("hash", lh + 8), ("count of a list", lh + 2), ("reference count", sk + 12),
                     ("ring", sk + 8), ("parent", data.index(b"nk", nk + 4) + 16),
                     ("longest name", nk + 52), ("count of subkeys", nk + 20),
                     ("size of a cell", lh - 4), ("checksum", 508)):
        bad = bytearray(data)
        bad[at] = 0 if bad[at] < 0x18 else bad[at] ^ 0x18
        try:
            hive_structure.check(bytes(bad))
        except hive_structure.Wrong:
            continue
        raise Failure(f"hive_structure.py does not see a wrong {what}")


def case_edit(world):
    break_and_judge(world)
    total = max(1, int(os.environ.get("IBB_HIVE_COMMITS") or 20))
    seed = int(os.environ.get("IBB_TEST_SEED") or 1)
    # Short runs share out well; long ones reach states that only many edits lead to.
    length = 4 if total <= 50 else 10
    hives, runs, left = bases(world), [], total
    while left > 0:
        runs.append((world, hives[len(runs) % len(hives)], seed + len(runs), min(length, left)))
        left -= length
    began = time.monotonic()
    faults = []
    with multiprocessing.Pool(min(os.cpu_count(), len(runs))) as pool:
        for fault, done in pool.imap_unordered(star_edit, runs, 1):
            print(fault or done, flush=True)
            faults += [fault] if fault else []
    need(not faults, f"{len(faults)} of {len(runs)} runs failed (IBB_TEST_SEED={seed}):\n"
                     + "\n".join(faults[:5]))
    print(f"{total} commits, {len(world.readers)} readers, {time.monotonic() - began:.0f} s")


def star_edit(args):
    return edit_run(*args)


CASES = {"read": case_read, "replay": case_replay, "edit": case_edit}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("case", choices=CASES)
    p.add_argument("--ibb-hive", required=True, type=os.path.abspath)
    p.add_argument("--source", required=True, type=os.path.abspath)
    args = p.parse_args()
    sys.setrecursionlimit(10_000)    # readers walk trees of up to 512 levels
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        with tempfile.TemporaryDirectory(prefix="ibb-hives-") as tmp:
            CASES[args.case](World(args, tmp))
        return 0
    except Skip as e:
        print(f"SKIPPED: {e}")
        return 77
    except Failure as e:
        print(f"FAILED: {e}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
