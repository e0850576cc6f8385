# SPDX-License-Identifier: GPL-3.0-or-later
"""bake --winre: the recovery images of a disk."""
import hashlib
import json
import os

import wimworld as wims
from cases_bake import EPOCH, EPOCH_FILETIME
from cases_wim import only_the_plan
from wimworld import Recipe, entries
from world import SIZE, Hive, Snapshot, check, same

IN_WINDOWS = "Windows/System32/Recovery/Winre.wim"
IN_RECOVERY = "Recovery/WindowsRE/Winre.wim"
PE = Recipe("Microsoft Windows Recovery Environment (amd64)", "--windows", "winpe-20348",
            text="recovery", properties=("FLAGS=9",), capture=("--boot",))
HEADER = 208


def disk(world, name="disk.vhd", both=True, compress="LZX", recipe=PE, size="256MiB"):
    """A disk with a Winre.wim in its recovery partition, and in its Windows as well."""
    wim, _ = wims.build(world, f"{name}.winre.wim", (recipe,), compress)
    places = ["--recovery-winre", wim, *(["--winre", wim] if both else [])]
    return world.image("--size", size, *places, name=name), wim


def bake(world, path, package, *options, rc=0):
    return world.ibbake("bake", path, "--size", SIZE, "--drivers", package, "--winre", *options,
                        rc=rc, env=EPOCH)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def copied_out(world, image, role, path):
    return os.path.join(world.extract(image, path, role=role), path)


def as_planned(world, part, source, now):
    """What the manifest says of a recovery image, held against both files."""
    old, new = read(source), read(now)
    same(part["before_sha256"], hashlib.sha256(old).hexdigest(), "digest before")
    same(part["after_sha256"], hashlib.sha256(new).hexdigest(), "digest after")
    same(int(part["after_bytes"]), len(new), "size after")
    # only the header differs of what was there: the disk changes where the file grew
    same(new[HEADER:len(old)], old[HEADER:], "old content of the file")
    check(len(new) > len(old), "nothing was appended")
    doc = world.fresh(".json")
    with open(doc, "w", encoding="utf-8") as f:
        json.dump(part, f)
    wims.sound(world, now)
    only_the_plan(world, source, now, doc)


def works_in_it(world, wim):
    """The driver is registered in the PE's own hive."""
    hive = world.fresh(".hive")
    with open(hive, "wb") as f:
        f.write(wims.file_bytes(world, wim, 1, "Windows/System32/config/DRIVERS"))
    world.sound_hive(hive)
    ids = Hive(read(hive)).children(Hive(read(hive)).key("DriverDatabase\\DeviceIds\\PCI"))
    check(any("ven_15b3" in str(i).lower() for i in ids), "no device ID of the driver")


def e2e_winre(world):
    """Both recovery images get the driver; file records, security and all else stay."""
    image, wim = disk(world)
    package = world.package()
    before = Snapshot(image.path)
    seen = world.ibbake("inspect", image.path, "--json").json()["recovery_images"]
    same([(x["partition"], x["path"], int(x["bytes"])) for x in seen],
         [(3, IN_WINDOWS, os.path.getsize(wim)), (4, IN_RECOVERY, os.path.getsize(wim))], "inspect")
    r = bake(world, image.path, package, "-o", world.path("out.vhd"))
    before.unchanged()
    r.mentions("winre    partition 3: " + IN_WINDOWS, "winre    partition 4: " + IN_RECOVERY,
           "Windows PE")
    out = image.at(world.path("out.vhd"))
    m = load(out.path + ".manifest.json")
    same([(p["partition"], p["path"], p["state"]) for p in m["winre"]],
         [(3, IN_WINDOWS, "written"), (4, IN_RECOVERY, "written")], "recovery images")
    for part, role in zip(m["winre"], ("windows", "recovery")):
        now = copied_out(world, out, role, part["path"])
        as_planned(world, part, wim, now)
        was = world.describe(image, part["path"], role=role)[part["path"]]
        is_ = world.describe(out, part["path"], role=role)[part["path"]]
        same(is_[1], was[1], "attributes")
        same(is_[3:], was[3:], "security")
        same(is_[2], EPOCH_FILETIME, "time of the change")
        same(is_[0], int(part["after_bytes"]), "size in the volume")
    same(sorted(f for f in os.listdir(world.dir) if f.startswith(".")), [], "files left behind")
    verified(world, out, m)
    again(world, out, package)


def verified(world, out, m):
    manifest = out.path + ".manifest.json"
    same(world.ibbake("verify", out.path, "--manifest", manifest, "--json").json()["identical"],
         True, "verify")
    m["winre"][1]["after_sha256"] = "0" * 64
    spoiled = world.path("spoiled.json")
    with open(spoiled, "w", encoding="utf-8") as f:
        json.dump(m, f)
    r = world.ibbake("verify", out.path, "--manifest", spoiled, "--json", rc=3)
    same([(d["what"], d["where"]) for d in r.json()["differences"]], [("winre", IN_RECOVERY)],
         "differences")


def again(world, out, package):
    """What holds everything already is left alone."""
    digest = hashlib.sha256(read(out.path)).hexdigest()
    bake(world, out.path, package, "--in-place", "--overwrite")
    same([p["state"] for p in load(out.path + ".manifest.json")["winre"]],
         ["unchanged", "unchanged"], "second bake")
    same(hashlib.sha256(read(out.path)).hexdigest(), digest, "the disk after a second bake")


def e2e_winre_in_place(world):
    """In place, a WIM that is solid; the same bytes as a new file has."""
    image, wim = disk(world, both=False, compress="LZMS")
    package = world.package()
    bake(world, image.path, package, "-o", world.path("out.vhd"))
    same(world.ibbake("bake", image.path, "--size", SIZE, "--drivers", package, "--winre",
                      "--dry-run", "--json", env=EPOCH).json()["winre"][0]["state"], "written",
         "dry run")
    bake(world, image.path, package, "--in-place")
    part = load(image.path + ".manifest.json")["winre"][0]
    same(load(world.path("out.vhd.manifest.json"))["winre"], [part], "the two manifests")
    now = copied_out(world, image, "recovery", IN_RECOVERY)
    as_planned(world, part, wim, now)
    works_in_it(world, now)
    world.ibbake("verify", image.path, "--manifest", image.path + ".manifest.json")


def e2e_winre_refused(world):
    """What cannot be done is said before anything is written."""
    package = world.package()
    job = ["--size", SIZE, "--drivers", package, "--winre", "-o", world.path("out.vhd")]
    plain = world.image(name="plain.vhd")
    world.refused(["bake", plain.path, *job], 100, "there is no recovery image", IN_RECOVERY)

    image, wim = disk(world, both=False)
    world.refused(["bake", wim, "--size", SIZE, "--drivers", package, "--winre", "-o",
                   world.path("out.wim")], 2, "--winre is for disks")

    # the partition has 8 MiB: the driver does not fit into it any more
    big = world.package("--noise", str(9 << 20), name="big")
    world.refused(["bake", image.path, "--size", SIZE, "--drivers", big, "--winre", "-o",
                   world.path("out.vhd")], 255, "partition 4", IN_RECOVERY, "free")

    spoilt = bytearray(read(wim))
    spoilt[HEADER + 4:] = bytes(len(spoilt) - HEADER - 4)
    with open(wim, "wb") as f:
        f.write(spoilt)
    bad = world.image("--size", "256MiB", "--recovery-winre", wim, name="bad.vhd")
    world.refused(["bake", bad.path, *job], 255, "partition 4: " + IN_RECOVERY)

    with open(wim, "wb") as f:
        f.write(b"no WIM at all" * 100)
    none = world.image("--size", "256MiB", "--recovery-winre", wim, name="none.vhd")
    world.refused(["bake", none.path, *job], 255, "partition 4: " + IN_RECOVERY)


def set_dirty(world, image, role):
    """Bit 0 of $Volume's flags, in the record and its mirror: VOLUME_IS_DIRTY."""
    p = image.partition(role)
    with open(image.path, "r+b") as f:
        f.seek(p["offset"])
        boot = f.read(512)
        cluster = int.from_bytes(boot[11:13], "little") * boot[13]
        for at in (48, 56):  # $MFT, $MFTMirr
            record = p["offset"] + int.from_bytes(boot[at:at + 8], "little") * cluster + 3 * 1024
            f.seek(record)
            raw = bytearray(f.read(1024))
            same(raw[:4], b"FILE", "record of $Volume")
            off = int.from_bytes(raw[20:22], "little")
            while int.from_bytes(raw[off:off + 4], "little") != 0x70:
                off += int.from_bytes(raw[off + 4:off + 8], "little")
            value = off + int.from_bytes(raw[off + 20:off + 22], "little")
            raw[value + 10] |= 1
            f.seek(record)
            f.write(raw)


def e2e_winre_unseen(world):
    """The recovery partition cannot be looked into: that is not the same as holding nothing."""
    image, _ = disk(world)
    package = world.package()
    set_dirty(world, image, "recovery")
    job = ["bake", image.path, "--size", SIZE, "--drivers", package]
    for more in ([], ["--partition", "3"]):
        world.refused([*job, *more, "--winre", "-o", world.path("out.vhd")], 100,
                      "partition 4 may hold the recovery image", "dirty")
    world.ibbake(*job, "-o", world.path("out.vhd"), env=EPOCH)


def e2e_winre_anew(world):
    """What nothing can be appended to is written anew."""
    package = world.package()
    wim, _ = wims.build(world, "pipable.wim", (PE,), "LZX", ("--pipable", "--check"))
    image = world.image("--size", "256MiB", "--recovery-winre", wim, name="disk.vhd")
    bake(world, image.path, package, "-o", world.path("out.vhd"))
    part = load(world.path("out.vhd.manifest.json"))["winre"][0]
    now = copied_out(world, image.at(world.path("out.vhd")), "recovery", IN_RECOVERY)
    same(part["after_sha256"], hashlib.sha256(read(now)).hexdigest(), "digest after")
    same(sorted(f for f in os.listdir(world.dir) if f.startswith(".")), [], "files left behind")
    wims.sound(world, now)
    works_in_it(world, now)
    same(read(now)[:8], b"WLPWM\0\0\0", "magic of a pipable WIM")


def e2e_winre_dry_run(world):
    """Nothing is written beside the image, which may lie where nothing can be."""
    image, wim = disk(world, both=False)
    package = world.package()
    flags = wims.header(wim)["flags"]
    wims.put_header(wim, flags=flags | wims.FLAG_IN_PROGRESS)
    marked = world.image("--size", "256MiB", "--recovery-winre", wim, name="marked.vhd")
    names = world.listing()
    os.chmod(world.dir, 0o555)
    try:
        doc = world.ibbake("bake", marked.path, "--size", SIZE, "--drivers", package, "--winre",
                           "--dry-run", "--json", env={**EPOCH, "TMPDIR": ""}).json()
    finally:
        os.chmod(world.dir, 0o755)
    same(world.listing() - names, set(), "files that came")
    check(any(IN_RECOVERY in w and "interrupted" in w for w in doc["winre"][0]["warnings"]),
          "no word of the interrupted change")
    with open(wim, "wb"):
        pass
    empty = world.image("--size", "256MiB", "--recovery-winre", wim, name="empty.vhd")
    world.refused(["bake", empty.path, "--size", SIZE, "--drivers", package, "--winre", "-o",
                   world.path("out.vhd")], 255, IN_RECOVERY + ": the file is empty")


def e2e_winre_options(world):
    """bake alone has it."""
    for command in (["plan"], ["inspect"], ["convert"], ["drivers", "add"], ["verify"]):
        r = world.run([world.args.ibbake, *command, "--help"])
        check("--winre" not in r.out + r.err, f"{command}: takes --winre")
    world.run([world.args.ibbake, "bake", "--help"]).mentions("--winre")
