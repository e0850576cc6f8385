# SPDX-License-Identifier: GPL-3.0-or-later
"""Hives as they really are: dirty, with transaction logs, with files of the transactional registry.

What may be replayed over an edited hive is judged by tests/oracle/replay.py, which shares nothing
with ibbake.
"""
import json
import os
import sys

from cases_bake import (EPOCH, bake, check_staged_script, dig, find_bytes, read, second_bake,
                        staged_in)
from cases_input import SMALL, patch, try_bake
from world import CONFIG, SIZE, Hive, Snapshot, check, same

HIVES = ("SYSTEM", "DRIVERS", "SOFTWARE")
FROM_LOG = "ibb from the log"


def write(world, data, suffix):
    path = world.fresh(suffix)
    with open(path, "wb") as f:
        f.write(data)
    return path


def replayed_over(world, hive_part, name, log_part):
    """What of the logs in one image would be applied over the hive in another, got dirty again."""
    script = os.path.join(world.args.source, "tests/oracle/replay.py")
    hive = write(world, read(world, hive_part, f"{CONFIG}/{name}"), "." + name)
    logs = []
    for ext in (".LOG", ".LOG1", ".LOG2"):
        data = world.ntfscat(log_part, f"{CONFIG}/{name}{ext}")
        if data is not None:
            logs.append(write(world, data, "." + name + ext))
    check(logs, f"{name} has no logs")
    r = world.run([sys.executable, "-B", script, hive, *logs, "--force-dirty"], rc=None)
    return [] if r.rc == 0 and "nothing would be applied" in r.out else r.out.splitlines()


def nothing_is_replayed(world, part, name):
    """Whatever way the hive may get dirty again, no entry of its logs is applied."""
    lines = replayed_over(world, part, name, part)
    check(not lines, f"{name}\n{lines}")


def in_partition(image, data):
    """Where these bytes, a file's in one piece, lie in the image."""
    p = image.partition()
    with open(image.path, "rb") as f:
        at = find_bytes(f.fileno(), p["offset"], p["length"], data)
    check(at is not None, "the file does not lie in one piece")
    return at


def logged(world, how, *options, also=()):
    """A bake of an image whose last writes are in the logs only."""
    image = world.image(*SMALL, "--logged-hives", how, *options)
    package, out = world.package(), world.path("out.vhd")
    before = world.partition_file(image)
    for name in HIVES:
        hive = Hive(read(world, before, f"{CONFIG}/{name}"))
        check(hive.sequences[0] != hive.sequences[1] and hive.key(FROM_LOG) is None,
              f"{name} is not what this test is about")
    software = {e: read(world, before, f"{CONFIG}/SOFTWARE{e}") for e in ("", ".LOG1", ".LOG2")}
    source = Snapshot(image.path)
    r = bake(world, image, package, out, *also)
    source.unchanged()
    for name in HIVES:
        r.mentions(f"warning: {CONFIG}/{name} was not cleanly closed")
    part = staged_in(world, image, out, "ibbdemo.inf", 0)
    for name in ("SYSTEM", "DRIVERS"):
        hive = Hive(read(world, part, f"{CONFIG}/{name}"))
        same(*hive.sequences, f"{name}: sequence numbers")
        check(hive.key(FROM_LOG) is not None, f"{name} lost what was in its log")
        nothing_is_replayed(world, part, name)
    for ext, data in software.items():
        check(read(world, part, f"{CONFIG}/SOFTWARE{ext}") == data,
              f"SOFTWARE{ext} changed, though nothing was to be done in it")
    with open(out + ".manifest.json", encoding="utf-8") as f:
        doc = json.load(f)
    for hive in doc["image"]["hives"]:
        same(hive["recovery"]["result"], "replayed", f"{hive['path']}: recovery")
        same(hive["dirty"], True, f"{hive['path']}: dirty as it was found")
    check(sum("not cleanly closed" in w for w in doc["warnings"]) == 3, "warnings of the manifest")
    again = world.ibbake("bake", out, "--size", SIZE, "--drivers", package, "--dry-run", "--json",
                         *also, env=EPOCH).json()
    same(again["operations"], [], "operations of a second bake")
    world.ibbake("verify", out, "--manifest", out + ".manifest.json")
    return doc


def e2e_logged_hives_new(world):
    doc = logged(world, "new")
    hive = doc["image"]["hives"][0]
    same([(x["format"], x.get("applied")) for x in hive["transaction_logs"]],
         [("new", 3), ("empty", None)], "logs of SYSTEM")


def e2e_logged_hives_old(world):
    """Windows 8 and Server 2012 write a dirty vector."""
    doc = logged(world, "old", "--windows", "server2012", also=["--allow-unsupported"])
    hive = doc["image"]["hives"][0]
    same([(x["format"], x.get("applied")) for x in hive["transaction_logs"]],
         [("old", 1), ("empty", None)], "logs of SYSTEM")


def e2e_logged_hives_control_set(world):
    """Select\\Current is read from the recovered hive; ControlSet002 is the one that counts."""
    image = world.image(*SMALL, "--logged-hives", "new", "--control-set", "2")
    doc = world.ibbake("inspect", image.path, "--json").json()
    same(dig(doc, "control_set"), "ControlSet002", "control set")
    bake(world, image, world.package(), world.path("out.vhd"))
    staged_in(world, image, world.path("out.vhd"), "ibbdemo.inf", 0)


def e2e_nothing_replayed_on_any_windows(world):
    """Every release that is supported, with the log format of its time."""
    package = world.package()
    for release, how in (("server2012", "old"), ("win8.1", "new"),
                         ("server2012r2", "new"), ("win10-1607", "new"), ("server2016", "new"),
                         ("server2019", "new"), ("win10-19041", "new"), ("server2022", "new"),
                         ("win11-22631", "new"), ("server2025", "new")):
        image = world.image("--size", "64MiB", "--windows", release, "--logged-hives", how,
                            name=f"{release}.vhd")
        out = world.path(f"{release}-out.vhd")
        world.ibbake("drivers", "add", image.path, package, "-o", out, env=EPOCH)
        part = world.partition_file(image.at(out))
        for name in ("SYSTEM", "DRIVERS"):
            hive = Hive(read(world, part, f"{CONFIG}/{name}"))
            check(hive.key(FROM_LOG) is not None, f"{release}: {name} lost what was in its log")
            nothing_is_replayed(world, part, name)
        os.unlink(part)


def e2e_stale_logs(world):
    """Sound entries with higher numbers beside a clean hive: not replayed over the edit, not even
    when the logs come back as they were."""
    image = world.image(*SMALL, "--stale-logs", "40")
    bake(world, image, world.package(), world.path("out.vhd"))
    part = staged_in(world, image, world.path("out.vhd"), "ibbdemo.inf", 0)
    before = world.partition_file(image)
    for name in ("SYSTEM", "DRIVERS"):
        check(len(replayed_over(world, before, name, before)) == 6, f"{name} shows nothing")
        nothing_is_replayed(world, part, name)
        # As a write that was begun leaves the hive; without a base block no number is of help.
        lines = [line for line in replayed_over(world, part, name, before)
                 if line.startswith(("a write was begun:", "the second number ran ahead:"))]
        check(not lines, f"{name}\n{lines}")


def e2e_accept_dirty_hives(world):
    """No log helps: refused with the remedy, and done on demand, which the manifest says."""
    image, package = world.image(*SMALL, "--dirty-hive"), world.package()
    try_bake(world, image, package, 100, "SYSTEM", "not cleanly closed",
             "SYSTEM.LOG1").says("hint: boot Windows once", "--accept-dirty-hives")
    out = world.path("out.vhd")
    r = bake(world, image, package, out, "--accept-dirty-hives")
    r.mentions("warning: Windows/System32/config/SYSTEM", "--accept-dirty-hives")
    part = staged_in(world, image, out, "ibbdemo.inf", 0)
    same(*Hive(read(world, part, f"{CONFIG}/SYSTEM")).sequences, "sequence numbers")
    nothing_is_replayed(world, part, "SYSTEM")
    with open(out + ".manifest.json", encoding="utf-8") as f:
        doc = json.load(f)
    same(doc["options"]["accept_dirty_hives"], True, "option in the manifest")
    same(doc["image"]["hives"][0]["recovery"]["result"], "accepted-as-it-is", "recovery")
    check(any("--accept-dirty-hives" in w for w in doc["warnings"]), "no warning")
    second_bake(world, image.at(out), package)


def e2e_damaged_log(world):
    """An entry that was half written when the power went, and there is no other log."""
    image, package = world.image(*SMALL, "--logged-hives", "new"), world.package()
    part = world.partition_file(image)
    log = read(world, part, f"{CONFIG}/SYSTEM.LOG1")
    os.unlink(part)
    at = in_partition(image, log)
    patch(image.path, at + 512 + 600, b"torn")
    try_bake(world, image, package, 100, "SYSTEM.LOG1", "0x200").says("hint:")


def bake_accepted(world, image, package, result):
    """With --accept-dirty-hives; the manifest says how, and verify finds what it says."""
    out = world.path("out.vhd")
    r = bake(world, image, package, out, "--accept-dirty-hives")
    with open(out + ".manifest.json", encoding="utf-8") as f:
        doc = json.load(f)
    hive = [h for h in doc["image"]["hives"] if h["recovery"]]
    same([h["recovery"]["result"] for h in hive], [result], "recovery")
    world.ibbake("verify", out, "--manifest", out + ".manifest.json")
    second_bake(world, image.at(out), package)
    return r, doc, world.partition_file(image.at(out))


def e2e_accepted_but_not_edited(world):
    """SOFTWARE is not edited; but it must not meet Windows dirty, with logs that do not fit it."""
    image, package = world.image(*SMALL), world.package()
    part = world.partition_file(image)
    data = read(world, part, f"{CONFIG}/SOFTWARE")
    os.unlink(part)
    at, dirty = in_partition(image, data), bytearray(data)
    dirty[4] ^= 1
    dirty[508] ^= 1
    patch(image.path, at, bytes(dirty[:512]))
    try_bake(world, image, package, 100, "SOFTWARE", "not cleanly closed")
    _, doc, part = bake_accepted(world, image, package, "accepted-as-it-is")
    hive = Hive(read(world, part, f"{CONFIG}/SOFTWARE"))
    same(*hive.sequences, "sequence numbers of SOFTWARE")
    same(list(hive.everything()), list(Hive(data).everything()), "SOFTWARE")
    nothing_is_replayed(world, part, "SOFTWARE")
    check(any(f"{CONFIG}/SOFTWARE" == f["path"] for f in doc["files"]), "not in the manifest")


def e2e_gap_in_log(world):
    """The second of three entries is damaged: what follows would be lost, which nobody should learn
    from a missing driver. On demand what comes before it is applied."""
    image, package = world.image(*SMALL, "--logged-hives", "new"), world.package()
    part = world.partition_file(image)
    log = read(world, part, f"{CONFIG}/SYSTEM.LOG1")
    software = read(world, part, f"{CONFIG}/SOFTWARE")
    os.unlink(part)
    second = 512 + int.from_bytes(log[516:520], "little")
    check(log[second:second + 4] == b"HvLE", "there is no second entry")
    patch(image.path, in_partition(image, log) + second + 100, b"\xff")
    try_bake(world, image, package, 100, "SYSTEM.LOG1", "Hash-1 is wrong", ": a gap").says("hint:")
    out = world.path("out.vhd")
    r = bake(world, image, package, out, "--accept-dirty-hives")
    r.mentions("warning: Windows/System32/config/SYSTEM", "--accept-dirty-hives")
    with open(out + ".manifest.json", encoding="utf-8") as f:
        hives = json.load(f)["image"]["hives"]
    same([h["recovery"]["result"] for h in hives], ["replayed-in-part", "replayed", "replayed"],
         "recovery")
    same(hives[0]["transaction_logs"][0]["applied"], 1, "entries applied")
    world.ibbake("verify", out, "--manifest", out + ".manifest.json")
    part = world.partition_file(image.at(out))
    nothing_is_replayed(world, part, "SYSTEM")
    same(read(world, part, f"{CONFIG}/SOFTWARE"), software, "SOFTWARE")


def e2e_base_block_from_log(world):
    """The base block of SYSTEM is gone; its log has it."""
    image, package = world.image(*SMALL, "--logged-hives", "new"), world.package()
    part = world.partition_file(image)
    data = read(world, part, f"{CONFIG}/SYSTEM")
    os.unlink(part)
    patch(image.path, in_partition(image, data), bytes(4096))
    bake(world, image, package, world.path("out.vhd"))
    part = staged_in(world, image, world.path("out.vhd"), "ibbdemo.inf", 0)
    hive = Hive(read(world, part, f"{CONFIG}/SYSTEM"))
    check(hive.key(FROM_LOG) is not None, "SYSTEM lost what was in its log")
    nothing_is_replayed(world, part, "SYSTEM")


def e2e_real_logged_hive(world):
    """The 16299 hive, whose logs hold 2 472 keys that the file lacks."""
    top = "hives/win10-1709-dirty-with-logs"
    hive, log1, log2 = (world.data(f"{top}/SYSTEM{e}") for e in ("", ".LOG1", ".LOG2"))
    package = world.data("drivers/mlx5-24.4.26429")
    image = world.image("--size", "1GiB", "--windows", "win10-19041", "--state", "specialized",
                        "--system-hive", hive, "--system-log1", log1, "--system-log2", log2)
    with open(world.data(f"{top}/SYSTEM.recovered"), "rb") as f:
        recovered = Hive(f.read())
    source, out = Snapshot(image.path), world.path("out.vhd")
    r = bake(world, image, package, out)
    source.unchanged()
    r.mentions("warning: Windows/System32/config/SYSTEM was not cleanly closed")
    part = world.partition_file(image.at(out))
    system = Hive(read(world, part, f"{CONFIG}/SYSTEM"))
    same(system.sequences, (2131, 2131), "sequence numbers, one above the last entry's")
    nothing_is_replayed(world, part, "SYSTEM")
    want, got = ({path: (sd, v) for path, sd, v in h.everything()} for h in (recovered, system))
    check(len(want) == 35595, f"the recovered hive has {len(want)} keys")
    same(set(want) - set(got), set(), "keys that were lost")
    # mlx5 is of class Net: its records are in DRIVERS, here is the map of published names
    same([p for p in got if got[p] != want.get(p)], ["DriverDatabase"], "keys that changed")
    names = {n for n in got["DriverDatabase"][1]
             if got["DriverDatabase"][1][n] != want["DriverDatabase"][1].get(n)}
    check(names <= {"OemInfMap", "UpdateDate"}, f"values that changed: {names}")
    oracle = check_staged_script(world)
    if oracle:
        windows = world.extract(image.at(out), "Windows") + "/Windows"
        config = windows + "/System32/config"
        r = world.run([*oracle, config + "/SYSTEM", config + "/DRIVERS", windows, "--expect",
                       "mlx5.inf"])
        check("0 rules broken" in r.out, f"check_staged.py\n{r}")


def e2e_real_accept_dirty(world):
    """The 18362 hive, dirty, its logs lost."""
    hive = world.data("hives/win10-1903-dirty-no-logs/SYSTEM")
    image = world.image(*SMALL, "--windows", "win10-19041", "--system-hive", hive)
    package, out = world.package(), world.path("out.vhd")
    try_bake(world, image, package, 100, "4317", "4316").says("--accept-dirty-hives")
    bake(world, image, package, out, "--accept-dirty-hives").mentions("--accept-dirty-hives")
    part = world.partition_file(image.at(out))
    same(Hive(read(world, part, f"{CONFIG}/SYSTEM")).sequences, (4318, 4318), "sequence numbers")


def e2e_txr(world):
    """Files of the transactional registry: a warning, and not a byte changed."""
    image, package, out = world.image(*SMALL, "--txr"), world.package(), world.path("out.vhd")
    guid = "53b39e88-18c4-11ea-a811-000d3aa4692b"
    path = f"{CONFIG}/TxR/{{{guid}}}.TxR.blf"
    before = read(world, world.partition_file(image), path)
    r = bake(world, image, package, out)
    r.mentions("warning: 1 file of the transactional registry (TxR)")
    check(read(world, world.partition_file(image.at(out)), path) == before, "changed")
    plain = world.image(*SMALL, name="plain.vhd")
    r = bake(world, plain, package, world.path("plain-out.vhd"))
    check("TxR" not in r.out, f"warned without a reason\n{r}")


def e2e_inspect_hives(world):
    """Every cell is looked at: what is sound is counted, what is not is the exit status."""
    image = world.image(*SMALL)
    doc = world.ibbake("inspect", image.path, "--hives", "--json").json()
    hives = doc["image"]["hives"]
    same([h["check"]["sound"] for h in hives], [True] * 3, "sound")
    same([h["recovery"] for h in hives], [None] * 3, "recovery")
    check(all(h["check"]["keys"] > 5 for h in hives), f"keys: {hives}")
    world.ibbake("inspect", image.path, "--hives").mentions("check: sound;", "keys")
    plain = world.ibbake("inspect", image.path, "--json").json()
    check(all("check" not in h for h in plain["image"]["hives"]), "checked without being asked")
    # one wrong hash in a subkey list: a walk does not notice, Windows' look-up would
    part = world.partition_file(image)
    data = read(world, part, f"{CONFIG}/SOFTWARE")
    at = data.index(b"lh\x01\x00") + 8
    patch(image.path, in_partition(image, data) + at, b"\xff\xff")
    world.ibbake("inspect", image.path)
    r = world.ibbake("inspect", image.path, "--hives", rc=255)
    r.mentions("check: DAMAGED: hive Windows/System32/config/SOFTWARE", "hash of subkey list")


def e2e_real_inspect_hives(world):
    hive = world.data("hives/win10-19041/SYSTEM")
    image = world.image(*SMALL, "--windows", "win10-19041", "--system-hive", hive)
    doc = world.ibbake("inspect", image.path, "--hives", "--json").json()
    got = doc["image"]["hives"][0]["check"]
    same((got["sound"], got["keys"], got["values"], got["big_values"]), (True, 33317, 74454, 3),
         "what three other readers count")


def e2e_same_bytes_from_logs(world):
    """Two bakes of one dirty image in one second are one."""
    image, package = world.image(*SMALL, "--logged-hives", "new"), world.package()
    outs = [world.path(n) for n in ("one.vhd", "two.vhd")]
    digests = []
    for out in outs:
        world.ibbake("bake", image.path, "--size", SIZE, "--drivers", package, "-o", out,
                     env=EPOCH)
        part = world.partition_file(image.at(out))
        digests.append([read(world, part, f"{CONFIG}/{n}") for n in HIVES])
    check(digests[0] == digests[1], "the hives differ")
