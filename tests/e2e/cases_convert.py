# SPDX-License-Identifier: GPL-3.0-or-later
"""convert, and bakes whose output is of another kind than their input."""
import errno
import json
import os
import random
import resource
import signal
import struct
import subprocess
import time
import zlib

from cases_bake import EPOCH, bake, staged_in
from cases_container import make_chain
from world import SIZE, Skip, Snapshot, check, content_digest, same

MIB = 1 << 20
ODD = 3 * 4096  # behind a whole MiB
FORMATS = ("vhd", "vhd-dynamic", "vhdx", "raw")
SUFFIX = {"vhd": ".vhd", "vhd-dynamic": ".vhd", "vhdx": ".vhdx", "raw": ".raw"}
QEMU = {"vhd": "vpc", "vhd-dynamic": "vpc", "vhdx": "vhdx", "raw": "raw"}
SMALL = ("--size", "64MiB")


def convert(world, source, out, form="vhd", *options, rc=0, env=EPOCH):
    return world.ibbake("convert", source, "-o", out, "--format", form, *options, rc=rc, env=env)


def judged_by_qemu(world, path, form, raw, size):
    """qemu-img sees a sound image of exactly that size and content."""
    tool = world.oracle("qemu-img")
    if not tool:
        return
    info = world.run([tool, "info", "--output=json", "-f", QEMU[form], path])
    same(info.json()["virtual-size"], size, f"{path}: virtual size that qemu-img sees")
    world.run([tool, "compare", "-f", "raw", "-F", QEMU[form], raw, path])
    if form in ("vhdx", "vhd-dynamic"):
        r = world.run([tool, "check", "-f", QEMU[form], path], rc=None)
        # vpc has no check: 63
        check(r.rc in (0, 63), f"qemu-img check\n{r}")


def e2e_convert_formats(world):
    """From every format to every format: the disk stays what it was."""
    image = world.image("--size", "96MiB", "--fill", "8", name="base.raw")
    want = content_digest(image.path)
    for first in FORMATS:
        a = world.fresh(SUFFIX[first])
        source = Snapshot(image.path)
        doc = convert(world, image.path, a, first, "--json").json()
        source.unchanged()
        same(doc["output"]["format"], first, "format in the document")
        same(doc["output"]["grown_bytes"], "0", "grown")
        judged_by_qemu(world, a, first, image.path, 96 * MIB)
        source = Snapshot(a)
        for second in FORMATS:
            b, back = world.fresh(SUFFIX[second]), world.fresh(".raw")
            convert(world, a, b, second)
            judged_by_qemu(world, b, second, image.path, 96 * MIB)
            convert(world, b, back, "raw")
            same(content_digest(back), want, f"raw -> {first} -> {second} -> raw")
            os.unlink(b)
            os.unlink(back)
        source.unchanged()


def e2e_convert_like_qemu(world):
    """The fixed VHD that qemu-img makes of a disk, but for what is ours: time, creator, identity,
    geometry (qemu gives the largest one), checksum."""
    tool = world.oracle("qemu-img")
    if not tool:
        raise Skip("qemu-img is not installed")
    image = world.image("--size", "96MiB", "--fill", "8", name="base.raw")
    ours, theirs = world.path("ours.vhd"), world.path("theirs.vhd")
    convert(world, image.path, ours)
    world.run([tool, "convert", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size",
               image.path, theirs])
    a, b = read(ours), read(theirs)
    same(len(a), len(b), "lengths")
    same(a[:-512] == b[:-512], True, "the same data")
    free = {*range(24, 40), *range(56, 60), *range(64, 84)}
    same([i for i in range(512) if a[-512 + i] != b[-512 + i] and i not in free], [],
         "offsets in the footer that differ")
    # and what qemu-img makes is read as it was meant
    want = content_digest(image.path)
    for form, options in (("vpc", "subformat=dynamic,force_size"), ("vhdx", "subformat=dynamic"),
                          ("vhdx", "subformat=fixed"), ("vhdx", "block_size=1M")):
        made, back = world.fresh(".vhd" if form == "vpc" else ".vhdx"), world.fresh(".raw")
        world.run([tool, "convert", "-f", "raw", "-O", form, "-o", options, image.path, made])
        convert(world, made, back, "raw")
        same(content_digest(back), want, f"{form}, {options}")


def e2e_convert_then_bake(world):
    """A bake of a dynamic VHD and of a VHDX is a fixed VHD, the same but for its identity."""
    image, package = world.image("--size", "256MiB", name="base.raw"), world.package()
    digests = set()
    for form in ("vhd-dynamic", "vhdx", "raw"):
        source = world.path("in-" + form + SUFFIX[form])
        convert(world, image.path, source, form)
        before = Snapshot(source)
        out = world.path(f"out-{form}.vhd")
        bake(world, image.at(source), package, out)
        before.unchanged()
        staged_in(world, image, out, "ibbdemo.inf", 0)
        same(os.path.getsize(out), 256 * MIB + 512, "size of a fixed VHD")
        flat = world.fresh(".raw")
        convert(world, out, flat, "raw")
        digests.add(content_digest(flat))
        os.unlink(flat)
    same(len(digests), 1, "disks that the same bake made of one disk in three containers")


def e2e_convert_chain(world):
    """A differencing disk with its parents becomes one disk, converted or baked."""
    image, base, middle, top = make_chain(world)
    sources = [Snapshot(p) for p in (base, middle, top)]
    flat, back = world.path("flat.vhd"), world.fresh(".raw")
    doc = convert(world, top, flat, "vhd", "--json").json()
    same([p["file"] for p in doc["input"]], ["top.vhd", "middle.vhd", "base.vhd"], "input")
    convert(world, flat, back, "raw")
    same(content_digest(back), content_digest(image.path), "the disk")
    out = world.path("baked.vhd")
    bake(world, image.at(top), world.package(), out)
    world.ibbake("verify", out, "--manifest", out + ".manifest.json")
    for s in sources:
        s.unchanged()


def e2e_convert_bake_formats(world):
    """A bake into every format holds what the manifest says."""
    image, package = world.image("--size", "256MiB"), world.package()
    for form in FORMATS:
        out = world.path("out-" + form + SUFFIX[form])
        doc = bake(world, image, package, out, "--format", form, "--json").json()
        same(doc["writing"], {"format": form, "sparse": "auto", "grown_bytes": "0"}, "writing")
        world.ibbake("verify", out, "--manifest", out + ".manifest.json")
        again = bake(world, image.at(out), package, world.fresh(".vhd"), "--json").json()
        same(again["operations"], [], f"operations of a second bake of {form}")


def e2e_convert_baked(world):
    """A baked disk is still what its manifest says after any conversion, also one that grows it."""
    image, package = world.image("--size", "256MiB"), world.package()
    for form in FORMATS:
        out = world.fresh(SUFFIX[form])
        bake(world, image, package, out, "--format", form)
        for other in FORMATS:
            path = world.fresh(SUFFIX[other])
            convert(world, out, path, other)
            doc = world.ibbake("verify", path, "--manifest", out + ".manifest.json", "--json")
            same(doc.json()["identical"], True, f"{form} -> {other}")
            os.unlink(path)
    odd = world.image("--size", str((256 << 20) + ODD), "--table", "mbr", name="odd.raw")
    out, grown = world.fresh(".vhdx"), world.fresh(".vhd")
    bake(world, odd, package, out, "--format", "vhdx")
    convert(world, out, grown)
    world.ibbake("verify", grown, "--manifest", out + ".manifest.json")


def each_fault(world, args, number):
    """Run ibbake once for each of its changes to files, which then fails with that error; yields
    (operation, result) until nothing is left to fail."""
    shim = os.path.join(os.path.dirname(world.args.mkimage), "ibb-iofault.so")
    check(os.path.exists(shim), f"{shim} was not built")
    log = world.path("fault.log")
    for nth in range(1, 2000):
        if os.path.exists(log):
            os.unlink(log)
        r = world.run([world.args.ibbake, *args], rc=None,
                      env={**EPOCH, "LD_PRELOAD": shim, "IBB_FAULT_AT": str(nth),
                           "IBB_FAULT_ERRNO": str(number), "IBB_FAULT_LOG": log})
        if not os.path.exists(log):
            same(r.rc, 0, f"exit status when nothing failed\n{r}")
            if nth == 1:
                raise Skip("nothing can be preloaded into this build (sanitizers)")
            return
        with open(log, encoding="ascii") as f:
            op = f.read().strip()
        os.unlink(log)
        yield op, r


def e2e_convert_every_write(world):
    """Whatever write, truncation, allocation, sync or link fails: said, and nothing left behind."""
    image = world.image("--size", "64MiB", name="base.raw")
    source, before = Snapshot(image.path), world.listing()
    seen = {}
    for form in FORMATS:
        for sparse in ("auto", "never") if form == "vhd" else ("auto",):
            for number in (errno.ENOSPC, errno.EIO):
                out = world.path("out" + SUFFIX[form])
                args = ["convert", image.path, "-o", out, "--format", form, "--sparse", sparse]
                for op, r in each_fault(world, args, number):
                    seen[op] = seen.get(op, 0) + 1
                    left = world.listing() - before
                    if r.rc == 0:
                        # room that is not to be had in advance is not needed to go on
                        same(op, "fallocate", f"{form}: what failed without consequence\n{r}")
                        os.unlink(out)
                        continue
                    same(r.rc, 255, f"{form}: exit status after a failed {op}\n{r}")
                    check(r.err.startswith("ibbake: "), f"no message\n{r}")
                    if left:
                        # the directory could not be synced: the whole image is there, and said so
                        same((op, left), ("fsync", {os.path.basename(out)}), f"left\n{r}")
                        r.says("is complete")
                        convert(world, out, world.path("back.raw"), "raw", "--overwrite")
                        same(content_digest(world.path("back.raw")), content_digest(image.path),
                             "what was left")
                        os.unlink(world.path("back.raw"))
                        os.unlink(out)
                os.unlink(out)
                source.unchanged()
    check({"pwrite", "ftruncate", "fsync", "link"} <= set(seen), f"only {seen}")
    world.notes.append(f"failed: {seen}")


def e2e_convert_chs_sized(world):
    """What qemu-img makes without force_size is a bit larger than the disk: the GPT's backup is not
    at the end, and it moves to the new one."""
    tool = world.oracle("qemu-img")
    if not tool:
        raise Skip("qemu-img is missing")
    image, package = world.image("--size", "256MiB", name="base.raw"), world.package()
    for kind in ("fixed", "dynamic"):
        vhd, out = world.path(kind + ".vhd"), world.path(kind + "-out.vhd")
        world.run([tool, "convert", "-f", "raw", "-O", "vpc", "-o", "subformat=" + kind,
                   image.path, vhd])
        doc = convert(world, vhd, out, "vhd", "--json").json()
        check(int(doc["output"]["grown_bytes"]) > 0, "the disk had no odd size")
        same(int(doc["output"]["disk_bytes"]) % MIB, 0, "size of the disk")
        seen = world.ibbake("inspect", out, "--json").json()
        same((seen["gpt_primary_damaged"], seen["gpt_backup_damaged"]), (False, False), "GPT")
        sgdisk = world.oracle("sgdisk")
        if sgdisk:
            raw = world.path(kind + ".raw")
            convert(world, out, raw, "raw")
            r = world.run([sgdisk, "--verify", raw])
            r.mentions("No problems found")
        world.ibbake("plan", vhd, "--size", SIZE, "--drivers", package)
        bake(world, image.at(vhd), package, world.path(kind + "-baked.vhd"))


def e2e_convert_identity(world):
    """Two disks never share an identity: a differencing disk knows its parent by nothing else."""
    disks = [world.image("--size", "64MiB", "--seed", str(n), name=f"s{n}.raw").path
             for n in (1, 2)]
    for form, key in (("vhd-dynamic", "vhd_unique_id"), ("vhdx", "vhdx_disk_id")):
        ids = set()
        for env in (EPOCH, EPOCH, {}, {}):
            for disk in disks:
                path = world.fresh(SUFFIX[form])
                convert(world, disk, path, form, env=env)
                ids.add(world.ibbake("inspect", path, "--json").json()["identity"][key])
        # with an epoch one for each disk, without one for each file
        same(len(ids), 2 + 4, f"identities of {form}")


def e2e_convert_4k_sectors(world):
    """Sectors of 4096 bytes: no fixed and no dynamic VHD; VHDX and raw keep them."""
    image, package = world.image("--sector", "4096", "--size", "256MiB", name="base.raw"), \
        world.package()
    vhdx = world.path("base.vhdx")
    doc = convert(world, image.path, vhdx, "vhdx", "--json").json()
    same(doc["output"]["sector_bytes"], 4096, "sector size")
    for source in (image.path, vhdx):
        world.refused(["convert", source, "-o", world.path("x.vhd")], 100,
                      "4096-byte logical sectors", "--format=vhdx")
        world.refused(["convert", source, "-o", world.path("x.vhd"), "--format", "vhd-dynamic"],
                      100, "4096")
        world.refused(["bake", source, "--size", SIZE, "--drivers", package, "-o",
                       world.path("x.vhd")], 100, "4096-byte logical sectors")
    out = world.path("out.vhdx")
    bake(world, image.at(vhdx), package, out, "--format", "vhdx")
    world.ibbake("verify", out, "--manifest", out + ".manifest.json")


def e2e_convert_sector_size(world):
    """The sector size of a raw disk is what its partition table says, not what a signature
    somewhere says."""
    mbr = world.image("--table", "mbr", *SMALL, name="mbr.raw")
    size = os.path.getsize(mbr.path)
    for at in (size - 4096, 4096):
        with open(mbr.path, "r+b") as f:
            f.seek(at)
            f.write(b"EFI PART")
    for form in FORMATS:
        out = world.fresh(SUFFIX[form])
        doc = convert(world, mbr.path, out, form, "--json").json()
        same(doc["output"]["sector_bytes"], 512, f"{form}: sector size")
        world.ibbake("inspect", out).mentions("MBR")
    # a table for 4096 that cannot be read: only a raw copy need not know
    gpt = world.image("--sector", "4096", *SMALL, name="gpt.raw")
    with open(gpt.path, "r+b") as f:
        f.seek(510)
        f.write(bytes(2))
    for form in ("vhd", "vhd-dynamic", "vhdx"):
        world.refused(["convert", gpt.path, "-o", world.path("x" + SUFFIX[form]), "--format",
                       form], 255, "may have sectors of 4096 bytes", "protective MBR",
                      "--format=raw")
    convert(world, gpt.path, world.path("copy.raw"), "raw")
    same(content_digest(world.path("copy.raw")), content_digest(gpt.path), "the raw copy")


def e2e_convert_usage(world):
    """A name that contradicts the format, unknown formats, nothing to write to."""
    image, package = world.image(*SMALL), world.package()
    for name, form, hint in (("o.vhdx", "vhd", "--format=vhdx"), ("o.raw", "vhd", "--format=raw"),
                             ("o.img", "vhdx", "--format=raw"), ("o.VHD", "raw", "--format=vhd"),
                             ("o.vhd", "vhdx", "--format=vhd"),
                             ("o.vhdx", "vhd-dynamic", "--format=vhdx")):
        world.refused(["convert", image.path, "-o", world.path(name), "--format", form], 2, hint)
        world.refused(["bake", image.path, "--size", SIZE, "--drivers", package, "-o",
                       world.path(name), "--format", form], 2, hint)
    for options in (("--format", "qcow2"), ("--format",), ("--sparse", "yes"), ("--dry-run",)):
        world.refused(["convert", image.path, "-o", world.path("o.vhd"), *options], 2)
    world.refused(["convert", image.path], 2, "-o OUT")
    world.refused(["convert", "-o", world.path("o.vhd")], 2, "one IMAGE")
    # any other suffix, and none, says nothing
    for name in ("o", "o.bin", "o.vhd.new", ".vhdx-dir"):
        convert(world, image.path, world.path(name))


def odd_image(world, *options, name="odd.raw"):
    """A disk that ends a little behind a whole MiB, with its GPT's backup there."""
    return world.image("--size", str(256 * MIB + ODD), *options, name=name)


def gpt_judged(world, vhd, size):
    """GPT fdisk and libfdisk find nothing to complain of in the disk of a fixed VHD."""
    raw = world.fresh(".raw")
    convert(world, vhd, raw, "raw")
    same(os.path.getsize(raw), size, "size of the disk")
    tool = world.oracle("sgdisk")
    if tool:
        r = world.run([tool, "--verify", raw])
        check("No problems found" in r.out and "Caution" not in r.out, f"sgdisk\n{r}")
    tool = world.oracle("sfdisk")
    if tool:
        r = world.run([tool, "--verify", raw])
        check("No errors detected" in r.out + r.err and "mismatch" not in r.out + r.err,
              f"sfdisk\n{r}")
    os.unlink(raw)


def e2e_convert_grows(world):
    """Not a multiple of 1 MiB: grown, with the backup of the GPT at the new end."""
    image, package = odd_image(world), world.package()
    same(os.path.getsize(image.path), 256 * MIB + ODD, "size of the raw disk")
    source, out = Snapshot(image.path), world.path("out.vhd")
    doc = convert(world, image.path, out, "vhd", "--json").json()
    same(doc["output"]["grown_bytes"], str(MIB - ODD), "grown")
    same(os.path.getsize(out), 257 * MIB + 512, "size of the output")
    gpt_judged(world, out, 257 * MIB)
    world.ibbake("inspect", out).mentions("GPT")
    check("damaged" not in world.ibbake("inspect", out).out, "inspect sees a damaged GPT")
    baked = world.path("baked.vhd")
    r = bake(world, image, package, baked)
    r.mentions("grown")
    gpt_judged(world, baked, 257 * MIB)
    staged_in(world, image, baked, "ibbdemo.inf", 0)
    with open(baked + ".manifest.json", encoding="utf-8") as f:
        same(json.load(f)["writing"]["grown_bytes"], str(MIB - ODD), "grown, in the manifest")
    # the other formats keep the size, and so does the same disk again
    for form in ("vhd-dynamic", "vhdx", "raw"):
        doc = convert(world, image.path, world.fresh(SUFFIX[form]), form, "--json").json()
        same((doc["output"]["grown_bytes"], doc["output"]["disk_bytes"]),
             ("0", str(256 * MIB + ODD)), form)
    doc = convert(world, out, world.fresh(".vhd"), "vhd", "--json").json()
    same(doc["output"]["grown_bytes"], "0", "grown again")
    source.unchanged()


def e2e_convert_grows_damaged(world):
    """Whose GPT cannot be trusted is not grown; without a GPT there is nothing to move."""
    image, package = odd_image(world), world.package()
    with open(image.path, "r+b") as f:
        f.seek(-512, os.SEEK_END)
        f.write(b"not EFI ")
    for argv in (["convert", image.path], ["bake", image.path, "--size", SIZE, "--drivers",
                                           package]):
        world.refused([*argv, "-o", world.path("x.vhd")], 100, "the backup GPT header is damaged",
                      "--format=raw")
    convert(world, image.path, world.path("kept.raw"), "raw")
    image = odd_image(world, "--table", "mbr", name="mbr.raw")
    doc = convert(world, image.path, world.path("mbr.vhd"), "vhd", "--json").json()
    same(doc["output"]["grown_bytes"], str(MIB - ODD), "grown")
    world.ibbake("inspect", world.path("mbr.vhd")).mentions("MBR")


def gpt_header(my, other, entries, last):
    """One GPT header over 128 empty entries, by UEFI 5.3.2."""
    b = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, my, other, 34, last - 33,
                    bytes(range(16)), entries, 128, 128, zlib.crc32(bytes(128 * 128)))
    return b[:16] + struct.pack("<I", zlib.crc32(b)) + b[20:] + bytes(512 - 92)


def e2e_convert_grows_stale_gpt(world):
    """Headers that a GPT left behind are not the disk's table: its last sector is kept."""
    size = 4 * MIB + 60 * 512
    last = size // 512 - 1
    noise = random.Random(11).randbytes(64 * 512)
    mbr = bytearray(512)
    mbr[446:462] = struct.pack("<BBBBBBBBII", 0, 0, 2, 0, 7, 0xff, 0xff, 0xff, 2048, last - 2047)
    ntfs = bytearray(512)
    ntfs[:11] = b"\xeb\x52\x90NTFS    "
    for kind, first in (("mbr", mbr), ("none", ntfs)):
        first[510:] = b"\x55\xaa"
        for backup in (False, True):
            source, out = world.fresh(".raw"), world.fresh(".vhd")
            with open(source, "wb") as f:
                f.truncate(size)
                f.write(first)
                if not backup:
                    f.seek(512)
                    f.write(gpt_header(1, last, 2, last))
                f.seek(size - len(noise))
                f.write(noise[:-512] + gpt_header(last, 1, last - 32, last) if backup else noise)
            doc = convert(world, source, out, "vhd", "--json").json()
            same(doc["output"]["grown_bytes"], str(5 * MIB - size), "grown")
            same(read(out)[:-512] == read(source) + bytes(5 * MIB - size), True,
                 f"{kind}, backup {backup}: the same disk")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def e2e_convert_twice(world):
    """The same input and time give the same bytes; another time another disk."""
    image, package = world.image(*SMALL, name="base.raw"), world.package()
    later = dict(EPOCH, SOURCE_DATE_EPOCH=str(int(EPOCH["SOURCE_DATE_EPOCH"]) + 60))
    for form in FORMATS:
        a, b, c = (world.fresh(SUFFIX[form]) for _ in range(3))
        convert(world, image.path, a, form)
        convert(world, image.path, b, form)
        convert(world, image.path, c, form, env=later)
        same(read(a) == read(b), True, f"{form}: two runs alike")
        same(read(a) == read(c), form == "raw", f"{form}: another time")
    one, two = world.path("one.vhd"), world.path("two.vhd")
    bake(world, image, package, one)
    bake(world, image, package, two)
    same(read(one) == read(two), True, "two bakes alike")
    convert(world, image.path, world.path("plain.vhd"))
    footers = {read(world.path(n))[-512:][68:84] for n in ("one.vhd", "plain.vhd")}
    same(len(footers), 2, "identities of different disks")


def e2e_convert_keeps_footer(world):
    """A fixed VHD that stays one stays the same disk."""
    image = world.image(*SMALL)
    with open(image.path, "r+b") as f:  # a footer of another creator, with a reserved byte set
        f.seek(-512, os.SEEK_END)
        b = bytearray(f.read(512))
        b[28:32], b[300] = b"win ", 7
        b[64:68] = bytes(4)
        b[64:68] = (~sum(b) & 0xffffffff).to_bytes(4, "big")
        f.seek(-512, os.SEEK_END)
        f.write(b)
    out = world.path("out.vhd")
    convert(world, image.path, out)
    same(read(out), read(image.path), "a fixed VHD converted to one")
    baked = world.path("baked.vhd")
    bake(world, image, world.package(), baked)
    same(read(baked)[-512:], bytes(b), "footer of a bake")


def e2e_convert_sparse(world):
    """Which zeros become holes."""
    image = world.image(*SMALL, name="base.raw")
    with open(image.path, "r+b") as f:  # zeros that are data: a MiB, and 4 KiB within data
        at = os.path.getsize(image.path) - 8 * MIB
        f.seek(at)
        f.write(bytes(MIB))
        f.write((b"x" * 4096 + bytes(4096)) * 64)
    blocks = {}
    for mode in ("auto", "always", "never"):
        out = world.path(mode + ".vhd")
        convert(world, image.path, out, "vhd", "--sparse", mode)
        blocks[mode] = os.stat(out).st_blocks * 512
    # what holes there are is the file system's affair
    source = os.stat(image.path).st_blocks * 512
    check(blocks["never"] >= 64 * MIB, f"never: {blocks}")
    check(blocks["always"] <= blocks["auto"] <= blocks["never"], f"order: {blocks}")
    if source < 60 * MIB:
        check(blocks["auto"] <= source - MIB + 131072, f"auto: {blocks}, source {source}")
        check(blocks["always"] <= blocks["auto"] - 64 * 4096 + 131072, f"always: {blocks}")
    same(len({content_digest(world.path(m + ".vhd")) for m in blocks}), 1, "contents")


def e2e_convert_reflink(world):
    """Where the file system can clone, the result is the same: disks of whole MiB or not, raw or
    in a fixed VHD, whose footer comes along."""
    clones = {**world.preload("ibb-sysfault", IBB_REFLINK="1"), **EPOCH}
    package = world.package()
    sources = [world.image("--size", str(size), name=f"base{size % MIB}{suffix}")
               for size in (256 * MIB, 256 * MIB + ODD) for suffix in (".vhd", ".raw")]
    for image in sources:
        before = Snapshot(image.path)
        for form in ("vhd", "raw"):
            for how in (lambda out, env: convert(world, image.path, out, form, "--json", env=env),
                        lambda out, env: bake(world, image, package, out, "--format", form,
                                              "--json", env=env)):
                plain, cloned = world.fresh(SUFFIX[form]), world.fresh(SUFFIX[form])
                how(plain, EPOCH)
                doc = how(cloned, clones).json()
                what = f"{os.path.basename(image.path)} to {form}"
                same(doc.get("copy", {"reflink": True})["reflink"], True, f"{what}: reflink")
                same(content_digest(cloned), content_digest(plain), what)
                os.unlink(plain)
                os.unlink(cloned)
        before.unchanged()


def e2e_convert_refused(world):
    """Nothing is overwritten that should not be."""
    image, other = world.image(*SMALL), world.path("other.vhd")
    with open(other, "wb") as f:
        f.write(b"precious")
    world.refused(["convert", image.path, "-o", other], 100, "exists already", "--overwrite")
    os.symlink(image.path, world.path("link.vhd"))
    os.link(image.path, world.path("hard.vhd"))
    source = Snapshot(image.path)
    for out in (image.path, world.path("link.vhd"), world.path("hard.vhd")):
        world.refused(["convert", image.path, "-o", out, "--overwrite"], 100, "input image")
    world.refused(["convert", image.path, "-o", world.dir, "--overwrite"], 100, "directory")
    world.refused(["convert", image.path, "-o", world.path("no/out.vhd")], 255, "no/out.vhd")
    world.refused(["convert", world.path("none.vhd"), "-o", world.path("x.vhd")], 255, "none.vhd")
    same(read(other), b"precious", "the other file")
    convert(world, image.path, other, "vhd", "--overwrite")
    same(content_digest(other), content_digest(image.path), "what replaced it")
    source.unchanged()


def e2e_convert_no_windows(world):
    """No Windows is needed, and no partition table."""
    image = world.image("--no-windows", *SMALL)
    convert(world, image.path, world.path("data.vhdx"), "vhdx")
    noise = world.path("noise.raw")
    with open(noise, "wb") as f:
        f.write(random.Random(7).randbytes(3 * MIB))
    convert(world, noise, world.path("noise.vhd"))
    same(read(world.path("noise.vhd"))[:-512], read(noise), "noise")


def e2e_convert_write_fails(world):
    """A write fails at whatever place: 255, nothing left, the source untouched."""
    image = world.image(*SMALL, "--fill", "8", name="base.raw")
    source = Snapshot(image.path)
    before = world.listing()
    for form in FORMATS:
        for limit in (4096, 1 * MIB, 9 * MIB):
            def small_files(limit=limit):
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

            out = world.path("out" + SUFFIX[form])
            done = subprocess.run([world.args.ibbake, "convert", image.path, "-o", out, "--format",
                                   form], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  env=world.env, preexec_fn=small_files)
            same(done.returncode, 255, f"{form}, {limit}: exit status ({done.stderr})")
            check(out in done.stderr, f"stderr: {done.stderr}")
            same(sorted(world.listing() - before), [], "files left behind")
            source.unchanged()


def e2e_convert_killed(world):
    """kill -9 at any moment leaves no file with the output's name but a whole one."""
    image = world.image("--size", "1GiB", "--fill", "64", name="base.raw")
    source, out = Snapshot(image.path), world.path("out.vhd")
    began = time.monotonic()
    convert(world, image.path, out)
    whole = time.monotonic() - began
    want = content_digest(out)
    dice = random.Random(20261120)
    killed = 0
    for _ in range(12):
        if os.path.exists(out):
            os.unlink(out)
        p = subprocess.Popen([world.args.ibbake, "convert", image.path, "-o", out],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, env={**world.env, **EPOCH})
        time.sleep(dice.uniform(0, whole))
        p.send_signal(signal.SIGKILL)
        p.wait()
        killed += p.returncode == -signal.SIGKILL
        if p.returncode == 0:
            whole *= 0.8
        if os.path.exists(out):
            same(content_digest(out), want, "what stands under the output's name")
        source.unchanged()
    check(killed >= 3, f"only {killed} of 12 runs were killed in time")
    left = set(os.listdir(world.dir)) - {"base.raw", "out.vhd"}
    check(all(f.startswith(".out.vhd") for f in left), f"the killed runs left {left}")
    convert(world, image.path, out, "vhd", "--overwrite")
    same(content_digest(out), want, "a conversion after the kills")
    world.notes.append(f"{killed} of 12 runs killed")
