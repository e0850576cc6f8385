# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in every container: looked at, planned for and verified as the raw disk in them."""
import gzip
import hashlib
import json
import os
import shutil
import struct

from cases_bake import EPOCH, bake
from vhdchild import BLOCK, differencing_vhd, sealed, vhd_footer
from world import SIZE, Skip, Snapshot, check, content_digest, find_tool, same

SMALL = ("--size", "256MiB")
EPOCH_2000 = 946684800


def convert(world, src, name, *options):
    tool = find_tool("qemu-img")
    if not tool:
        raise Skip("no qemu-img")
    path = world.path(name)
    fmt = "vhdx" if name.endswith("x") else "vpc"
    world.run([tool, "convert", "-f", "raw", "-O", fmt, *options, src, path])
    return path


DYNAMIC = ("-o", "subformat=dynamic,force_size=on")


def inspect(world, path, *options):
    return world.ibbake("inspect", path, "--json", *options, env=EPOCH).json()


def without_start(world, image):
    """The image as a dynamic VHD whose first block is all zero, and that block."""
    with open(image.path, "r+b") as f:
        first = f.read(BLOCK)
        f.seek(0)
        f.write(bytes(BLOCK))
    base = convert(world, image.path, "base.vhd", *DYNAMIC)
    with open(image.path, "r+b") as f:
        f.write(first)
    return base, first


def make_chain(world):
    """top -> middle -> base; only top has the partition table. Also the raw disk."""
    image = world.image(*SMALL, name="flat.raw")
    base, first = without_start(world, image)
    os.mkdir(world.path("snapshots"))
    middle = differencing_vhd(world.path("snapshots/middle.vhd"), base, "..\\BASE.vhd", b"m" * 16,
                              blocks={0: bytes(range(256)) * 16})
    top = differencing_vhd(world.path("snapshots/top.vhd"), middle, ".\\middle.vhd", b"t" * 16,
                           blocks={0: first})
    return image, base, middle, top


def e2e_containers_read(world):
    """Inspect, plan, drivers list and a dry bake see in each container what the raw disk holds."""
    image, package = world.image(*SMALL, name="base.raw"), world.package()
    args = ["--size", SIZE, "--drivers", package, "--json"]
    flat = inspect(world, image.path)
    same(flat["identity"]["second_opinion"]["result"], "not-asked", "opinion of a raw disk")
    plan = world.ibbake("plan", image.path, *args, env=EPOCH).json()
    drivers = world.ibbake("drivers", "list", image.path, "--json").json()
    made = ((convert(world, image.path, "a.vhd", *DYNAMIC), "dynamic VHD", str(BLOCK)),
            (convert(world, image.path, "b.vhdx"), "dynamic VHDX", None),
            (convert(world, image.path, "c.vhdx", "-o", "subformat=fixed"), "fixed VHDX", None))
    for path, kind, block in made:
        source = Snapshot(path)
        doc = inspect(world, path)
        ident = doc["identity"]
        same(ident["container"], kind, "container")
        same(ident["disk_bytes"], flat["identity"]["disk_bytes"], "size of the disk")
        same(ident["disk_guid"], flat["identity"]["disk_guid"], "identity of the disk")
        same(ident["parents"], [], "parents")
        same(ident["log_replayed_bytes"], None, "log")
        same((ident["vhd_unique_id"] is None, ident["vhdx_disk_id"] is None),
             (kind != "dynamic VHD", kind == "dynamic VHD"), "identity of the container")
        if block:
            same(ident["block_bytes"], block, "block size")
        opinion = ident["second_opinion"]
        same((opinion["result"], opinion["reader"], opinion["reason"]), ("agrees", "libvhdi", None),
             "second opinion")
        check(opinion["blocks"] >= 20, f"only {opinion['blocks']} pieces compared")
        same(doc["image"], flat["image"], "facts")
        same(doc["partitions"], flat["partitions"], "partitions")
        there = world.ibbake("plan", path, *args, env=EPOCH).json()
        same(there["operations"], plan["operations"], "operations of the plan")
        same(world.ibbake("drivers", "list", path, "--json").json()["packages"],
             drivers["packages"], "packages")
        dry = world.ibbake("bake", path, *args, "--dry-run", env=EPOCH).json()
        same(dry["operations"], plan["operations"], "operations of a dry bake")
        same(dry["options"]["second_opinion_off"], False, "recorded option")
        text = world.ibbake("inspect", path).out
        check(f"{kind}, 256.0 MiB disk" in text and "sees the same" in text, f"text: {text}")
        source.unchanged()


def e2e_containers_verify(world):
    """A baked disk is verified in whatever container it came to lie."""
    image, package = world.image(*SMALL, name="base.raw"), world.package()
    out = world.path("out.raw")
    bake(world, image, package, out, "--format", "raw")
    for name, options in (("a.vhd", DYNAMIC), ("b.vhdx", ())):
        path = convert(world, out, name, *options)
        doc = world.ibbake("verify", path, "--manifest", out + ".manifest.json", "--json").json()
        same(doc["identical"], True, "identical")
        other = convert(world, image.path, "other-" + name, *options)
        r = world.ibbake("verify", other, "--manifest", out + ".manifest.json", rc=3)
        r.says("differs")


def e2e_chain_read(world):
    """A chain is one disk; its parents are recorded."""
    image, base, middle, top = make_chain(world)
    package = world.package()
    sources = [Snapshot(p) for p in (base, middle, top)]
    doc, flat = inspect(world, top), inspect(world, image.path)
    same(doc["image"], flat["image"], "facts")
    same(doc["identity"]["container"], "differencing VHD", "container")
    same(doc["identity"]["vhd_unique_id"], b"t".hex() * 16, "identifier")
    same([(p["file"], p["container"], p["identifier"], p["found_by"], p["time_agrees"])
          for p in doc["identity"]["parents"]],
         [("middle.vhd", "differencing VHD", b"m".hex() * 16, "relative-path", None),
          ("base.vhd", "dynamic VHD", vhd_footer(base)[68:84].hex(), "relative-path", None)],
         "parents")
    same(doc["identity"]["parents"][1]["file_bytes"], str(os.path.getsize(base)), "bytes")
    same(doc["identity"]["second_opinion"]["result"], "agrees", "second opinion")
    text = world.ibbake("inspect", top).out
    check("parent middle.vhd: differencing VHD" in text, f"text: {text}")
    args = ["--size", SIZE, "--drivers", package, "--json"]
    same(world.ibbake("plan", top, *args, env=EPOCH).json()["operations"],
         world.ibbake("plan", image.path, *args, env=EPOCH).json()["operations"], "operations")
    dry = world.ibbake("bake", top, *args, "--dry-run", "--digest=sha256", env=EPOCH).json()
    for path, ident in zip((top, middle, base), [dry["input"], *dry["input"]["parents"]]):
        with open(path, "rb") as f:
            same(ident["digest"], {"kind": "sha256", "sha256": hashlib.sha256(f.read()).hexdigest()},
                 f"digest of {path}")
    same([p["file"] for p in dry["input"]["parents"]], ["middle.vhd", "base.vhd"],
         "parents in the manifest")
    # no file of the chain is ever the output
    link = world.path("link.vhd")
    os.link(base, link)
    for path, word in ((middle, "a parent of the input image"), (link, "a parent of the input"),
                       (top, "the input image")):
        world.refused(["bake", top, "--size", SIZE, "--drivers", package, "-o", path,
                       "--overwrite"], 100, path, word)
    world.refused(["bake", top, "--size", SIZE, "--drivers", package, "-o", world.path("o.vhd"),
                   "--overwrite", "--manifest", base], 100, "the manifest is", "a parent of")
    for s in sources[1:]:
        s.unchanged()


def e2e_chain_time(world):
    """A child that remembers its parent's time: recorded; a parent of a later one is refused."""
    image, _, middle, top = make_chain(world)
    with open(image.path, "rb") as f:
        first = f.read(BLOCK)
    stamp = int(os.stat(middle).st_mtime) - EPOCH_2000
    for time, want in ((stamp, True), (stamp + 1, False)):
        differencing_vhd(top, middle, ".\\middle.vhd", b"t" * 16, time=time,
                         blocks={0: first})
        doc = inspect(world, top)
        same(doc["identity"]["parents"][0]["time_agrees"], want, "time_agrees")
        check(not any("parent" in w for w in doc["warnings"]), f"{doc['warnings']}")
    differencing_vhd(top, middle, ".\\middle.vhd", b"t" * 16, time=stamp - 3,
                     blocks={0: first})
    package, out = world.package(), world.path("out.vhd")
    bake = ["bake", top, "--size", SIZE, "--drivers", package]
    for command in (["inspect", top], ["drivers", "list", top],
                    ["plan", top, "--size", SIZE, "--drivers", package],
                    bake + ["--dry-run"], bake + ["-o", out], ["convert", top, "-o", out]):
        r = world.refused(command, 100, top, middle, "was changed after the child was made")
        check("--accept-changed-parent" in r.err, str(r))
        check(not os.path.exists(out), f"{command} wrote {out}")
        r = world.ibbake(*command, "--accept-changed-parent", "--json", env=EPOCH)
        doc = r.json()
        if command[0] in ("inspect", "plan", "bake"):
            check(any(middle in w and "--accept-changed-parent" in w for w in doc["warnings"]),
                  f"{doc['warnings']}")
        if command[0] == "bake":
            same(doc["options"]["accept_changed_parent"], True, "recorded option")
            same(doc["input"]["parents"][0]["time_agrees"], False, "recorded time")
        for name in (out, out + ".manifest.json"):
            if os.path.exists(name):
                os.unlink(name)


def e2e_chain_refused(world):
    """Missing, changed, looping, damaged: each with the path and the documented status."""
    _, base, middle, top = make_chain(world)
    moved = world.path("elsewhere.img")
    os.rename(base, moved)
    world.refused(["inspect", top], 100, middle, "its parent (..\\BASE.vhd) is missing",
                  world.path("snapshots/../BASE.vhd"), world.path("snapshots/BASE.vhd"),
                  "with the identifier " + vhd_footer(moved)[68:84].hex())
    os.rename(moved, base)
    differencing_vhd(middle, base, "..\\BASE.vhd", b"x" * 16)
    r = world.refused(["inspect", top], 100, top, "was changed or is another disk", middle,
                      b"x".hex() * 16, b"m".hex() * 16)
    check("identifier" in r.err, str(r))
    differencing_vhd(middle, base, ".\\top.vhd", b"m" * 16, parent_id=b"t" * 16)
    world.refused(["inspect", top], 255, "loops", top)
    differencing_vhd(middle, base, "..\\BASE.vhd", b"m" * 16)
    with open(middle, "r+b") as f:
        f.seek(512)
        f.write(b"XX")
    world.refused(["inspect", top], 255, top, "its parent", middle, "dynamic disk header")


def e2e_container_truncated(world):
    """Cut short: damaged, never taken for a smaller disk."""
    image = world.image(*SMALL, name="base.raw")
    for name, options in (("a.vhd", DYNAMIC), ("b.vhdx", ())):
        path = convert(world, image.path, name, *options)
        whole = os.path.getsize(path)
        for size in (whole - 1024, whole // 2, 1 << 20, 600):
            os.truncate(path, size)
            world.refused(["inspect", path], 255, name)
            world.refused(["plan", path, "--size", SIZE, "--drivers", world.dir], 255, name)


def e2e_container_footer_gone(world):
    """The last footer of a dynamic VHD cut off: its copy is enough, and that is said."""
    image = world.image(*SMALL, name="base.raw")
    path = convert(world, image.path, "a.vhd", *DYNAMIC)
    os.truncate(path, os.path.getsize(path) - 512)
    doc = inspect(world, path)
    same(doc["image"], inspect(world, image.path)["image"], "facts")
    check(any("copy at its beginning" in w for w in doc["warnings"]), f"{doc['warnings']}")
    opinion = doc["identity"]["second_opinion"]
    same((opinion["result"], opinion["blocks"]), ("not-asked", 0), "second opinion")
    check("footer is damaged" in opinion["reason"], opinion["reason"])


def e2e_second_opinion_off(world):
    """Switched off: said, recorded in inspect and in the manifest; of a raw disk there is none."""
    image, package = world.image(*SMALL, name="base.raw"), world.package()
    path = convert(world, image.path, "a.vhd", *DYNAMIC)
    doc = inspect(world, path, "--second-opinion=off")
    opinion = doc["identity"]["second_opinion"]
    same((opinion["result"], opinion["reader"], opinion["blocks"], opinion["reason"]),
         ("off", None, 0, "--second-opinion=off"), "second opinion")
    check(any("--second-opinion=off" in w for w in doc["warnings"]), f"{doc['warnings']}")
    args = ["--size", SIZE, "--drivers", package, "--second-opinion=off"]
    dry = world.ibbake("bake", path, *args, "--dry-run", "--json", env=EPOCH).json()
    same(dry["options"]["second_opinion_off"], True, "recorded option")
    same(dry["input"]["second_opinion"]["result"], "off", "recorded opinion")
    fixed = world.image(*SMALL, name="fixed.vhd")
    out = world.path("out.vhd")
    bake(world, fixed, package, out, "--second-opinion=off")
    with open(out + ".manifest.json", encoding="utf-8") as f:
        manifest = json.load(f)
    same(manifest["options"]["second_opinion_off"], True, "recorded option")
    same([manifest[x]["second_opinion"]["result"] for x in ("input", "output")], ["off", "off"],
         "opinions of input and output")
    os.unlink(out)
    bake(world, fixed, package, out, "--overwrite")
    with open(out + ".manifest.json", encoding="utf-8") as f:
        manifest = json.load(f)
    same([manifest[x]["second_opinion"]["result"] for x in ("input", "output")],
         ["agrees", "agrees"], "opinions of input and output")
    doc = inspect(world, image.path, "--second-opinion=off")
    same(doc["identity"]["second_opinion"]["result"], "not-asked", "opinion of a raw disk")
    check(not any("opinion" in w for w in doc["warnings"]), f"{doc['warnings']}")
    world.ibbake("inspect", path, "--second-opinion=never", rc=2)


def e2e_second_opinion_cannot(world):
    """What libvhdi cannot open is said and recorded, and no reason to stop."""
    image, package = world.image(*SMALL, name="base.raw"), world.package()
    args = ["--size", SIZE, "--drivers", package, "--dry-run", "--json"]
    facts = inspect(world, image.path)["image"]
    torn = [convert(world, image.path, f"{at}.vhdx", "-o", "subformat=dynamic")
            for at in (65536, 131072, 196608, 262144)]
    for path in torn:
        with open(path, "r+b") as f:
            f.seek(int(os.path.basename(path)[:-5]))
            f.write(b"torn")
    minor = convert(world, image.path, "minor.vhd", *DYNAMIC)
    footer = vhd_footer(minor)
    footer[15] = 1
    with open(minor, "r+b") as f:
        f.write(sealed(footer, 64))
        f.seek(-512, os.SEEK_END)
        f.write(sealed(footer, 64))
    for path, why in [(p, "libvhdi needs both") for p in torn] + \
                     [(minor, "libvhdi cannot open the container of minor.vhd: ")]:
        doc = inspect(world, path)
        same(doc["image"], facts, f"facts of {path}")
        opinion = doc["identity"]["second_opinion"]
        same((opinion["result"], opinion["reader"], opinion["blocks"]), ("not-asked", None, 0),
             "second opinion")
        check(why in opinion["reason"], opinion["reason"])
        warnings = [w for w in doc["warnings"] if "no second opinion" in w]
        same(len(warnings), 1, "warnings of it")
        check(opinion["reason"] in warnings[0], warnings[0])
        if path in torn:
            at = os.path.basename(path)[:-5]
            check(any(f" at offset {at} is damaged" in w for w in doc["warnings"]),
                  f"{doc['warnings']}")
        dry = world.ibbake("bake", path, *args, env=EPOCH).json()
        same(dry["input"]["second_opinion"], opinion, "the manifest's")


def crc32c(b):
    """Of a structure whose own checksum stands at byte 4."""
    crc = 0xffffffff
    for x in b[:4] + bytes(4) + b[8:]:
        crc ^= x
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return struct.pack("<I", crc ^ 0xffffffff)


def not_closed(path):
    """A VHDX whose log has an entry, of nothing: it was open when its machine lost power."""
    ident, size = b"L" * 16, os.path.getsize(path)
    with open(path, "r+b") as f:
        for at in (65536, 131072):
            f.seek(at)
            header = bytearray(f.read(4096))
            header[48:64] = ident
            header[4:8] = crc32c(header)
            f.seek(at)
            f.write(header)
        entry = bytearray(4096)
        struct.pack_into("<4sIIIQII16sQQ", entry, 0, b"loge", 0, 4096, 0, 1, 0, 0, ident, size,
                         size)
        entry[4:8] = crc32c(entry)
        f.seek(struct.unpack_from("<Q", header, 72)[0])
        f.write(entry)
    return path


def e2e_second_opinion_recorded(world):
    """convert, verify and drivers list say of the input what inspect says of it."""
    image, package = world.image(*SMALL, name="base.raw"), world.package()
    path = convert(world, image.path, "a.vhd", *DYNAMIC)
    whole = convert(world, image.path, "b.vhd", *DYNAMIC)
    os.truncate(path, os.path.getsize(path) - 512)
    out = world.path("out.vhd")
    dirty = not_closed(convert(world, image.path, "c.vhdx", "-o", "subformat=dynamic"))
    for source, options, result in ((path, [], "not-asked"), (whole, [], "agrees"),
                                    (dirty, [], "agrees-in-part"),
                                    (whole, ["--second-opinion=off"], "off")):
        seen = inspect(world, source, *options)
        opinion = seen["identity"]["second_opinion"]
        same(opinion["result"], result, "inspect")
        about = [w for w in seen["warnings"] if any(x in w for x in ("opinion", "footer", "log"))]
        same(len(about), {"not-asked": 2, "agrees-in-part": 2, "agrees": 0, "off": 1}[result], "warnings")
        for command in (["convert", source, "-o", out, "--overwrite"],
                        ["drivers", "list", source]):
            doc = world.ibbake(*command, *options, "--json", env=EPOCH).json()
            same(doc["second_opinion"], opinion, f"{command[0]}: second opinion")
            same([w for w in doc["warnings"] if w in about], about, f"{command[0]}: warnings")
            text = world.ibbake(*command, *options, env=EPOCH).out
            for w in about:
                check(f"warning: {w}" in text, f"{command[0]}: no {w}\n{text}")
        text = world.ibbake("convert", source, "-o", out, "--overwrite", *options).out
        for part, want in ((", ", "agrees"), (" in part, 0 pieces compared", "agrees-in-part")):
            line = f"  libvhdi {opinion['version']} sees the same{part}"
            same(line in text, result == want, f"text of convert: {line}")
    baked = world.path("baked.vhd")
    bake(world, world.image(*SMALL, name="fixed.vhd"), package, baked)
    for option, result in (("--second-opinion=auto", "agrees"), ("--second-opinion=off", "off")):
        doc = world.ibbake("verify", baked, "--manifest", baked + ".manifest.json", option,
                           "--json").json()
        same(doc["second_opinion"]["result"], result, "verify")
        same(any(option in w for w in doc["warnings"]), result == "off", "warning of verify")


def e2e_chain_converted(world):
    """The parents in the document of a conversion, with their time."""
    image, _, middle, top = make_chain(world)
    with open(image.path, "rb") as f:
        first = f.read(BLOCK)
    stamp = int(os.stat(middle).st_mtime) - EPOCH_2000
    for time, want in ((stamp, True), (stamp + 1, False), (0, None)):
        differencing_vhd(top, middle, ".\\middle.vhd", b"t" * 16, time=time, blocks={0: first})
        out = world.fresh(".vhd")
        doc = world.ibbake("convert", top, "-o", out, "--json", env=EPOCH).json()
        same([p["time_agrees"] for p in doc["input"]], [None, want, None], "time_agrees")
        text = world.ibbake("convert", top, "-o", world.fresh(".vhd"), env=EPOCH).out
        same("of another time than its child says" in text, want is False, "text")


def e2e_second_opinion_no_proc(world):
    """In a bare chroot, without /proc, libvhdi is not asked, and that is said; outputs are made and
    checked all the same."""
    image, package = world.image(*SMALL), world.package()
    bare = world.preload("ibb-sysfault", IBB_NO_PROC="1")
    env = {**bare, **EPOCH}
    doc = world.ibbake("inspect", image.path, "--json", env=bare).json()
    opinion = doc["identity"]["second_opinion"]
    same((opinion["result"], opinion["reader"], opinion["blocks"]), ("not-asked", None, 0),
         "second opinion")
    check("/proc/self/fd" in opinion["reason"], opinion["reason"])
    bake(world, image, package, world.path("want.vhd"))
    out = world.path("out.vhd")
    for again in ((), ("--overwrite",)):
        world.ibbake("bake", image.path, "--size", SIZE, "--drivers", package, "-o", out, *again,
                     env=env)
        same(content_digest(out), content_digest(world.path("want.vhd")), "the output")
        with open(out + ".manifest.json", encoding="utf-8") as f:
            same([json.load(f)["output"]["second_opinion"]["result"]], ["not-asked"], "manifest")
    for name, form in (("o.vhd", "vhd-dynamic"), ("o.vhdx", "vhdx")):
        done = world.ibbake("convert", out, "-o", world.path(name), "--format", form, "--json",
                            env=env).json()
        same(done["second_opinion"]["result"], "not-asked", form)
        opinion = inspect(world, world.path(name))["identity"]["second_opinion"]
        same(opinion["result"], "agrees", f"{form}, where there is /proc")
    same(sorted(f for f in os.listdir(world.dir) if f.startswith(".")), [], "files left behind")


def e2e_real_orphans(world):
    """Real differencing disks whose parents are absent: the path that was looked for."""
    for name, want in (("differencing-parent-absent.vhd", "fat-parent.vhd"),
                       ("differencing.avhdx",
                        "Generation 1_49C4BAF3-4B25-4406-8C4B-D39E65C32385.avhdx")):
        path = world.path(name)
        with gzip.open(world.data(f"vhds/{name}.gz"), "rb") as f, open(path, "wb") as g:
            shutil.copyfileobj(f, g)
        world.refused(["inspect", path], 100, name, "is missing", world.path(want))
