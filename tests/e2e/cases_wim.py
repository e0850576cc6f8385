# SPDX-License-Identifier: GPL-3.0-or-later
"""A bake of the images in a WIM: what it changes, and all that it leaves as it was."""
import hashlib
import json
import os
import re

import wimworld as wims
from cases_bake import EPOCH, EPOCH_FILETIME, check_staged_script, staged_records
from wimworld import CLIENT, DATA, GENERATED, SERVER, Recipe, build, entries, entry
from world import CATROOT, CONFIG, SIZE, STORE, Hive, Skip, Snapshot, check, same

LZMS_SOLID = ("--compress=LZMS", "--solid", "--check", "--boot")


def command(wim, package, *options):
    return ["bake", wim, *wims.sizes_options(), "--drivers", package, *options]


def bake(world, wim, package, *options, rc=0, env=EPOCH):
    return world.ibbake(*command(wim, package, *options), rc=rc, env=env)


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def per_image(manifest):
    """{image: its part of the manifest}; without those that were left out"""
    return {i["index"]: i for i in load(manifest)["images"] if "skipped" not in i}


def planned(part):
    """Paths that the manifest says were made, written or removed."""
    return ({op["path"] for op in part["operations"] if op["op"] in ("mkdir", "put", "remove")} |
            {f["path"] for f in part["files"]})


# ---- what a bake has to have done ----

def only_the_plan(world, before, after, manifest):
    """Outside of the plan nothing differs: no entry, no metadata, no XML, no header."""
    parts = per_image(manifest)
    wims.same_header(before, after, "header")
    wims.same_xml_but_for(before, after, set(parts), "XML")
    for image in range(1, wims.header(before)["images"] + 1):
        old, new = (entries(world, w, image) for w in (before, after))
        changed = planned(parts[image]) if image in parts else set()
        wims.same_but_for(old, new, changed, f"image {image}")
        if image in parts:
            check(len(changed) > 8, f"image {image}: the plan is empty")
            wims.counted(world, before, after, image, EPOCH_FILETIME)
            in_the_plan(old, new, parts[image])


def in_the_plan(old, new, part):
    """What the plan names is there, with the bytes that the manifest says."""
    for f in part["files"]:
        lines = entry(new, f["path"])
        check(lines, f"{f['path']} is not in the image")
        same(wims.value(lines, "Uncompressed size"), f"{f['after']['bytes']} bytes", f["path"])
        check(wims.value(lines, "Security Descriptor"), f"{f['path']}: no security descriptor")
        was = entry(old, f["path"])
        same(was is not None, f["before"] is not None, f"{f['path']}: was there before")
        for key in ("Security Descriptor", "Creation Time", "Short Name", "Attributes"):
            if was:
                same(wims.value(lines, key), wims.value(was, key), f"{f['path']}: {key}")


def staged_by_the_rules(world, wim, image, inf):
    """wimlib's copy of the image in a directory keeps every rule of the driver store."""
    top = wims.apply_dir(world, wim, image) + "/"
    for hive in HIVES:
        if os.path.getsize(top + f"{CONFIG}/{hive}") < 1 << 20:  # some readers take their time
            world.sound_hive(top + f"{CONFIG}/{hive}")
    oracle = check_staged_script(world)
    if oracle:
        r = world.run([*oracle, top + f"{CONFIG}/SYSTEM", top + f"{CONFIG}/DRIVERS",
                       top + "Windows", "--expect", inf])
        check("0 rules broken" in r.out, f"check_staged.py\n{r}")
    return top


HIVES = ("SYSTEM", "DRIVERS", "SOFTWARE")


def records(world, before, image, top, part, inf):
    """The database as a bake of a disk writes it."""
    system, drivers = (Hive(read_bytes(top + f"{CONFIG}/{h}")) for h in ("SYSTEM", "DRIVERS"))
    old = Hive(wims.file_bytes(world, before, image, f"{CONFIG}/SYSTEM"))
    staged = part["packages"][0]
    number = int(staged["published"][3:-4])
    staged_records(drivers, old, system, staged["package_name"], inf, number)
    for hive in (system, drivers):
        same(*hive.sequences, "the hive's sequence numbers")


def read_bytes(path):
    with open(path, "rb") as f:
        return f.read()


def as_a_disk(world, wim, image, volume, package, manifest):
    """Applied to an NTFS volume the image holds what a bake of that Windows' disk gives: the same
    bytes, security descriptors, attributes and times; and ibbake's own verify agrees."""
    applied = wims.apply_ntfs(world, wim, image, volume)
    world.sound_ntfs(applied.path)
    world.ibbake("verify", applied.path, "--manifest", manifest, "--image", str(image))
    disk = world.fresh(".raw")
    world.ibbake(*command(volume.path, package, "-o", disk, "--format", "raw"), env=EPOCH)
    theirs = load(disk + ".manifest.json")
    ours = per_image(manifest)[image]
    same(sorted(f"{f['path']} {f['after']['sha256']}" for f in ours["files"]),
         sorted(f"{f['path']} {f['after']['sha256']}" for f in theirs["files"]),
         "files, against a bake of the disk")
    paths = sorted(planned(ours))
    got, want = (world.describe(x, *paths) for x in (applied, volume.at(disk)))
    same(sorted(got), sorted(want), "names, against a bake of the disk")
    for path, (size, attributes, time, _, sd) in want.items():
        g = got[path]
        same((g[0], g[1], g[2], g[4]), (size, attributes, time, sd),
             f"{path}: size, attributes, time, descriptor, against a bake of the disk")
    return applied, got


def inherited(found, part):
    """New files: rights from their directory, the bake's time, no attribute of a system file."""
    for f in part["files"]:
        _, attributes, time, _, sd = found[f["path"]]
        if f["before"] is None:
            same((attributes, time), (0x20, EPOCH_FILETIME), f["path"])
            check("SY)" in sd and "S:" not in sd and ";ID;" in sd,
                  f"{f['path']}: not inherited: {sd}")


def whole_job(world, wim, volumes, package, inf, first):
    """Plan, bake, and everything that others can say about the result. Image 3 holds no Windows."""
    os.chmod(wim, 0o444)
    source = Snapshot(wim)
    plan = world.ibbake("plan", wim, *wims.sizes_options(), "--drivers", package, "--image", "all",
                        "--json", env=EPOCH).json()
    check(len(plan["images"]) >= 2, "the plan holds no images")
    source.unchanged()
    out = world.path("out.wim")
    r = bake(world, wim, package, "--image", "all", "-o", out)
    skipped_is_said(r, 3)
    source.unchanged()
    manifest = out + ".manifest.json"
    same(sorted(per_image(manifest)), [1, 2], "images of the manifest")
    wims.sound(world, out)
    only_the_plan(world, wim, out, manifest)
    world.ibbake("verify", out, "--manifest", manifest)
    for image in (1, 2):
        part = per_image(manifest)[image]
        top = staged_by_the_rules(world, out, image, inf)
        if image == 1:
            records(world, wim, image, top, part, inf)
    _, found = as_a_disk(world, out, first, volumes[first - 1], package, manifest)
    inherited(found, per_image(manifest)[first])
    again = bake(world, out, package, "--image", "all", "--dry-run")
    check("nothing to do" in again.out.lower() or "0 operations" in again.out.lower(),
          f"a second bake finds work\n{again}")
    return out, manifest


def skipped_is_said(r, image):
    after = r.out.split(f"\nimage {image} ", 1)[-1]
    check(re.match(r".*\nskipped: holds no Windows", after),
          f"nobody says that image {image} is left out\n{r}")


# ---- the main job ----

def e2e_wim(world):
    """Two Windows and a data image, LZX, in one pass for two sizes."""
    package = world.package()
    wim, volumes = build(world, "install.wim")
    out, manifest = whole_job(world, wim, volumes, package, "ibbdemo.inf", 1)
    same(wims.header(out)["boot_index"], 2, "boot index")
    shared_once(world, wim, out, manifest)
    spoiled(world, out, manifest)


def shared_once(world, wim, out, manifest):
    """Both images hold the driver's files, the WIM holds them once."""
    parts = per_image(manifest)
    new = {}
    for part in parts.values():
        for f in part["files"]:
            new[f["after"]["sha256"]] = int(f["after"]["bytes"])
    grown = os.path.getsize(out) - os.path.getsize(wim)
    both = entries(world, out, 1), entries(world, out, 2)
    drivers = [f["path"] for f in parts[1]["files"] if f["path"].startswith(STORE)]
    for path in drivers:
        ours, theirs = (wims.value(entry(e, path), "Hash") for e in both)
        same(ours, theirs, f"{path}: digest in both images")
    check(grown < sum(new.values()) + (64 << 10), f"{grown} bytes more for {sum(new.values())}")
    hashes = wims.imagex(world, "info", out, "--blobs").out.lower()
    for path in drivers:
        digest = wims.value(entry(both[0], path), "Hash")[2:]
        same(hashes.count(digest), 1, f"{path}: times in the WIM")


def spoiled(world, out, manifest):
    """verify sees a file that somebody replaced, and names image and file."""
    other = world.fresh(".wim")
    world.run(["cp", out, other])
    os.chmod(other, 0o644)
    path = next(f["path"] for f in per_image(manifest)[2]["files"] if f["path"].endswith(".sys"))
    foreign = world.fresh(".sys")
    with open(foreign, "wb") as f:
        f.write(b"MZ: somebody else's")
    wims.imagex(world, "update", other, "2", f"--command=add '{foreign}' '/{path}'")
    r = world.ibbake("verify", other, "--manifest", manifest, rc=3)
    r.mentions("ibbdemo.sys", "image 2")
    check(f"image 1: {path}" not in r.out, f"image 1 is as it was\n{r}")


def e2e_wim_solid(world):
    """The same with LZMS in solid resources, as an ESD file has it."""
    wim, volumes = build(world, "lzx.wim")
    esd = world.path("install.esd")
    wims.imagex(world, "export", wim, "all", esd, *LZMS_SOLID)
    os.unlink(wim)
    same(wims.header(esd)["version"], 3584, "version of a solid WIM")
    whole_job(world, esd, volumes, world.package(), "ibbdemo.inf", 2)


def with_hive(world, name, hive, *options):
    return Recipe(name, "--system-hive", world.data("hives/" + hive), *options, text="real",
                  properties=("FLAGS=Professional", "WINDOWS/ARCH=9"), capture=("--boot",))


def real(world, *more):
    return with_hive(world, "Windows 10 Pro", "win10-19041/SYSTEM", "--windows", "win10-19041",
                     *more)


def e2e_wim_real(world):
    """SYSTEM hives of Windows 10 2004 and 1709, the real WinOF-2."""
    package = world.data("drivers/mlx5-24.4.26429")
    other = with_hive(world, "Windows 10 Pro 1709", "win10-1709-dirty-with-logs/SYSTEM.recovered",
                      "--windows", "win10-1809", "--seed", "2")
    wim, volumes = build(world, "install.wim", (real(world, "--odd-files"), other, DATA), "LZX:20")
    whole_job(world, wim, volumes, package, "mlx5.inf", 1)


def e2e_wim_real_solid(world):
    package = world.data("drivers/mlx5-24.4.26429")
    wim, volumes = build(world, "install.wim", (real(world), CLIENT, DATA), "LZX:20")
    esd = world.path("install.esd")
    wims.imagex(world, "export", wim, "all", esd, "--compress=LZMS:20", *LZMS_SOLID[1:])
    os.unlink(wim)
    whole_job(world, esd, volumes, package, "mlx5.inf", 1)


def e2e_wim_repeats(world):
    """Two bakes of one second give the same bytes, whatever the number of processors."""
    package = world.package("--noise", str(3 << 20), "--pad", str(3 << 20))
    wim, _ = build(world, "install.wim")
    outs = [world.path("one.wim"), world.path("two.wim")]
    for out in outs:
        bake(world, wim, package, "--image", "all", "-o", out)
    check(read_bytes(outs[0]) == read_bytes(outs[1]), "the bytes differ")
    manifests = [load(out + ".manifest.json") for out in outs]
    for m in manifests:
        m["output"].pop("file")
    same(manifests[0], manifests[1], "the manifests")
    one = world.path("cpu.wim")
    world.run(["taskset", "-c", str(min(os.sched_getaffinity(0))), world.args.ibbake,
               *world.trusting(command(wim, package, "--image", "all", "-o", one))], env=EPOCH)
    check(read_bytes(outs[0]) == read_bytes(one), "the bytes differ on one processor")


def e2e_wim_hives_kept(world):
    """Only hives that change are written; nothing else is compressed anew."""
    wim, _ = build(world, "install.wim", (SERVER,))
    out = world.path("out.wim")
    bake(world, wim, world.package(), "--image", "1", "-o", out)
    part = per_image(out + ".manifest.json")[1]
    names = {os.path.basename(f["path"]) for f in part["files"] if f["kind"] == "hive"}
    same(names, {"SYSTEM", "DRIVERS"}, "hives in the manifest")
    check("SOFTWARE.LOG1" not in {os.path.basename(p) for p in planned(part)}, "its log was")
    old, new = entries(world, wim, 1), entries(world, out, 1)
    for name in ("SOFTWARE", "SOFTWARE.LOG1", "SOFTWARE.LOG2"):
        same(entry(new, f"{CONFIG}/{name}"), entry(old, f"{CONFIG}/{name}"), name)
    # what was there is copied as it lies, compressed: each resource has the same bytes
    same(resources_of(world, out, wim), [], "resources that were compressed anew")


def resources_of(world, out, wim):
    """Digests that both files hold, with other compressed bytes in the one."""
    found = []
    for path in (wim, out):
        text = wims.imagex(world, "info", path, "--blobs").out
        table = {}
        for block in text.split("\n\n"):
            lines = dict(x.split("=", 1) for x in block.splitlines() if "=" in x)
            lines = {k.strip(): v.strip() for k, v in lines.items()}
            if "Hash" in lines and "Offset in WIM" in lines:
                at, n = (int(lines[k].split()[0]) for k in ("Offset in WIM", "Compressed size"))
                with open(path, "rb") as f:
                    f.seek(at)
                    table[lines["Hash"]] = hashlib.sha256(f.read(n)).hexdigest()
        found.append(table)
    both = set(found[0]) & set(found[1])
    check(len(both) > 5, f"wimlib-imagex info --blobs names {len(both)} blobs")
    return [h for h in both if found[0][h] != found[1][h]]


# ---- which image ----

def e2e_wim_which(world):
    """By number, by name in any case, several times, all; a number or name that is none."""
    package = world.package()
    wim, _ = build(world, "install.wim")
    for options, images in ((("--image", "2"), [2]), (("--image", "windows server 2022"), [1]),
                            (("--image", "2", "--image", "Windows Server 2022"), [1, 2]),
                            (("--image", "1", "--image", "1"), [1]), (("--image", "ALL"), [1, 2])):
        out = world.fresh(".wim")
        bake(world, wim, package, *options, "-o", out)
        same(sorted(per_image(out + ".manifest.json")), images, f"{options}: baked")
        only_the_plan(world, wim, out, out + ".manifest.json")
    source = Snapshot(wim)
    for options, rc, texts in ((("--image", "4"), 2, ("no image '4'", "3 'Data'")),
                               (("--image", "0"), 2, ("no image '0'",)),
                               (("--image", "Windows 7"), 2, ("Windows 7", CLIENT.name)),
                               (("--image", "3"), 100, ("no windows",)),
                               (("--image", "Data", "--image", "1"), 100, ("no windows",)),
                               ((), 2, ("--image", CLIENT.name))):
        world.refused(command(wim, package, *options, "-o", world.path("none.wim")), rc, *texts,
                      env=EPOCH)
    source.unchanged()
    disk = world.image("--size", "64MiB")
    world.refused(command(disk.path, package, "--image", "1", "-o", world.path("none.vhd")),
                  (2, 100), "--image", env=EPOCH)


def e2e_wim_only_image(world):
    """A WIM of one image needs no --image."""
    wim, _ = build(world, "install.wim", (SERVER,))
    out = world.path("out.wim")
    bake(world, wim, world.package(), "-o", out)
    only_the_plan(world, wim, out, out + ".manifest.json")
    same(sorted(per_image(out + ".manifest.json")), [1], "images of the manifest")


def e2e_wim_inspect(world):
    """The container, each image by the XML data and by its registry."""
    wim, _ = build(world, "install.wim")
    doc = world.ibbake("inspect", wim, "--json").json()
    text = json.dumps(doc)
    for name in (SERVER.name, CLIENT.name, DATA.name, "Windows Server 2022 Datacenter", "LZX",
                 "10.0.20348", "10.0.22631"):
        check(name in text, f"inspect does not know {name}\n{text[:3000]}")
    r = world.ibbake("inspect", wim)
    r.mentions(SERVER.name, CLIENT.name, DATA.name, "no Windows")
    one = world.ibbake("inspect", wim, "--image", "2").out
    check(CLIENT.name in one and "10.0.22631" in one, one)
    world.ibbake("inspect", wim, "--image", "2", "--hives").mentions("check: sound")


# ---- kinds ----

def e2e_wim_kinds(world):
    """Not compressed, XPRESS, LZX of other chunks, pipable: each stays what it is."""
    package = world.package()
    wim, _ = build(world, "lzx.wim", (SERVER, DATA))
    os.unlink(world.path("lzx.wim-1.raw"))
    for name, options in (("none", ("--compress=none",)), ("xpress", ("--compress=XPRESS",)),
                          ("wimboot", ("--compress=XPRESS", "--chunk-size=4096", "--check")),
                          ("chunks", ("--compress=LZX", "--chunk-size=131072")),
                          ("lzms", ("--compress=LZMS", "--check")),
                          ("pipable", ("--compress=LZX", "--pipable", "--check"))):
        path, out = world.path(name + ".wim"), world.path(name + "-out.wim")
        wims.imagex(world, "export", wim, "all", path, *options)
        bake(world, path, package, "--image", "1", "-o", out)
        only_the_plan(world, path, out, out + ".manifest.json")
        world.ibbake("verify", out, "--manifest", out + ".manifest.json")
        if name == "pipable":
            world.refused(command(out, package, "--image", "1", "--in-place"), 100, "pipable", "-o",
                          env=EPOCH)


def e2e_wim_boot(world):
    """boot.wim: Windows PE and Windows Setup get the same staging, and boot as before."""
    recipes = [Recipe(f"Microsoft Windows {what} (amd64)", "--windows", "winpe-20348", "--seed",
                      str(flags), text=f"Microsoft Windows {what} (amd64)",
                      properties=(f"FLAGS={flags}", "WINDOWS/ARCH=9"),
                      capture=("--boot",) if flags == 2 else ())
               for what, flags in (("PE", 9), ("Setup", 2))]
    wim, volumes = build(world, "boot.wim", recipes)
    package, out = world.package(), world.path("out.wim")
    world.ibbake("inspect", wim).mentions("Windows PE")
    bake(world, wim, package, "--image", "all", "-o", out)
    manifest = out + ".manifest.json"
    same(sorted(per_image(manifest)), [1, 2], "images of the manifest")
    same(wims.header(out)["boot_index"], 2, "boot index")
    only_the_plan(world, wim, out, manifest)
    for image in (1, 2):
        staged_by_the_rules(world, out, image, "ibbdemo.inf")
    # the descriptor of the metadata of the boot image is in the header as well
    h = wims.header(out)
    check(wims.resource(h["boot_metadata"])[0], "the header does not say where the boot image is")
    same(wims.xml_value(out, 2, "FLAGS"), "2", "flags")


def e2e_wim_split(world):
    """Split files are read; to write them they have to be joined, and the command is said."""
    package = world.package()
    wim, _ = build(world, "whole.wim", (Recipe("Server", "--windows", "server2022", "--fill", "3"),
                                        DATA))
    wims.imagex(world, "split", wim, world.path("install.swm"), "1")
    parts = sorted(n for n in os.listdir(world.dir) if n.endswith(".swm"))
    check(len(parts) >= 3, f"parts: {parts}")
    first = world.path("install.swm")
    world.ibbake("inspect", first, "--image", "1").mentions("10.0.20348", "split")
    world.ibbake("drivers", "list", first, "--image", "1")
    kept = [Snapshot(world.path(n)) for n in parts]
    # nothing can come of the plan
    world.refused(["plan", *command(first, package, "--image", "1")[1:]], 100, "split", "join",
                  env=EPOCH)
    for options in (("-o", world.path("out.wim")), ("--in-place",), ("--in-place", "--compact")):
        r = world.refused(command(first, package, "--image", "1", *options), 100, "split", "join",
                          env=EPOCH)
    joined = world.path("joined.wim")
    said = next(x for x in r.err.splitlines() if "wimlib-imagex join" in x)
    order = said[said.index("wimlib-imagex join"):].replace("OUT.wim", joined)
    world.run(["sh", "-c", order])
    bake(world, joined, package, "--image", "1", "-o", world.path("out.wim"))
    os.rename(world.path("install2.swm"), world.path("elsewhere"))
    world.refused(["inspect", first, "--image", "1"], (100, 255), "part 2")
    os.rename(world.path("elsewhere"), world.path("install2.swm"))
    for k in kept:
        k.unchanged()


def e2e_wim_encrypted(world):
    """An ESD as Microsoft's update service hands it out: the reason is said."""
    wim, _ = build(world, "lzx.wim", (DATA,))
    esd = world.path("install.esd")
    wims.imagex(world, "export", wim, "all", esd, *LZMS_SOLID[:2])
    text = wims.xml_text(esd).replace("</WIM>", "<ESD><ENCRYPTED><KEY>x</KEY></ENCRYPTED></ESD>"
                                      "</WIM>")
    wims.put_xml(esd, text)
    source = Snapshot(esd)
    package = world.package()
    for args in (["inspect", esd], command(esd, package, "--image", "all", "-o",
                                           world.path("out.esd")),
                 command(esd, package, "--image", "1", "--in-place")):
        world.refused(args, 100, "encrypted", env=EPOCH)
    source.unchanged()


def e2e_wim_readonly(world):
    """Marked read-only in its header: a new file is fine, a change of this one is not."""
    package = world.package()
    wim, _ = build(world, "install.wim", (SERVER,))
    wims.put_header(wim, flags=wims.header(wim)["flags"] | wims.FLAG_READONLY)
    source = Snapshot(wim)
    for options in (("--in-place",), ("--in-place", "--compact")):
        world.refused(command(wim, package, *options), 100, "read-only", env=EPOCH)
    source.unchanged()
    out = world.path("out.wim")
    bake(world, wim, package, "-o", out)
    only_the_plan(world, wim, out, out + ".manifest.json")


def e2e_wim_unknown_xml(world):
    """Elements and attributes that nobody knows come through, also outside of the images."""
    wim, _ = build(world, "install.wim", (SERVER, DATA))
    text = wims.xml_text(wim).replace(
        "</WIM>", "<VENDOR SERIAL=\"7\"><NOTE>of the whole file &amp; more</NOTE></VENDOR></WIM>")
    text = text.replace("<NAME>Data</NAME>", "<NAME>Data</NAME><MARK A=\"1\" B=\"2\">\u00fcber</MARK>")
    wims.put_xml(wim, text)
    out = world.path("out.wim")
    bake(world, wim, world.package(), "--image", "1", "-o", out)
    check("\u00fcber" in wims.xml_text(out) and "SERIAL" in wims.xml_text(out), "an element is gone")
    only_the_plan(world, wim, out, out + ".manifest.json")


# As Windows PE media have it: what a PE has no value for is there, and empty
PE_XML = """<WINDOWS><ARCH>9</ARCH><PRODUCTNAME>Microsoft\u00ae Windows\u00ae Operating System\
</PRODUCTNAME><EDITIONID>WindowsPE</EDITIONID><INSTALLATIONTYPE>WindowsPE</INSTALLATIONTYPE>\
<PRODUCTTYPE>WinNT</PRODUCTTYPE><PRODUCTSUITE></PRODUCTSUITE><LANGUAGES><LANGUAGE>en-US</LANGUAGE>\
<DEFAULT>en-US</DEFAULT></LANGUAGES><VERSION><MAJOR>10</MAJOR><MINOR>0</MINOR><BUILD>20348</BUILD>\
<SPBUILD>1</SPBUILD><SPLEVEL>0</SPLEVEL></VERSION><SYSTEMROOT>WINDOWS</SYSTEMROOT></WINDOWS>\
<FLAGS>9</FLAGS>"""
# What wimlib reads anew of the Windows is kept in every form in which XML can have it
XML_FORMS = {
    "pe": PE_XML,
    "empty": "<WINDOWS><EDITIONID/><PRODUCTNAME></PRODUCTNAME><VERSION/><LANGUAGES></LANGUAGES>"
             "</WINDOWS><FLAGS/><DISPLAYNAME></DISPLAYNAME><DISPLAYDESCRIPTION/>",
    "cdata": "<WINDOWS><ARCH>9</ARCH><EDITIONID><![CDATA[A & <B>]]></EDITIONID><PRODUCTNAME>one"
             "<!-- --> &amp; &lt;two&gt;</PRODUCTNAME></WINDOWS><FLAGS><!-- none --></FLAGS>",
    "attributes": "<WINDOWS a=\"b\"><VERSION a=\"b\"/><LANGUAGES a='>'><LANGUAGE>de-DE</LANGUAGE>"
                  "<LANGUAGE>fr-FR</LANGUAGE></LANGUAGES><EDITIONID x=\"1\">E</EDITIONID></WINDOWS>",
    "elsewhere": "<VENDOR><WINDOWS>x</WINDOWS><VERSION>y</VERSION><LANGUAGES>z</LANGUAGES>"
                 "<FLAGS>f</FLAGS></VENDOR>",
}


def xml_texts(wim):
    """What has a text or attributes, without what follows the content."""
    return [e for e in wims.xml_images(wim)[1]
            if (e[1] or e[2]) and not wims.COUNTED & set(e[0].split("/"))]


def e2e_wim_xml_forms(world):
    """Empty elements, CDATA, comments, attributes: nothing of what wimlib makes of the Windows
    takes their place."""
    pe = wims.volume(world, "pe.raw", "--windows", "winpe-20348")
    made = world.path("made.wim")
    wims.capture(world, pe, made, "PE")
    package = world.package()
    whole = re.sub(r"<WINDOWS>.*</WINDOWS>|<FLAGS>.*?</FLAGS>|<DISPLAY.*</DISPLAY[A-Z]*>", "",
                   wims.xml_text(made))
    for name, xml in XML_FORMS.items():
        wim, out = world.path(name + ".wim"), world.path(name + "-out.wim")
        world.run(["cp", made, wim])
        wims.put_xml(wim, whole.replace("</IMAGE>", xml + "</IMAGE>"))
        bake(world, wim, package, "--image", "1", "-o", out)
        same(xml_texts(out), xml_texts(wim), name)
        bake(world, wim, package, "--image", "1", "--in-place", "--compact")
        check(read_bytes(wim) == read_bytes(out), f"{name}: in place, not the bytes that -o gives")
    for xml, what in (("<WINDOWS><EDITIONID><A>x</A>B</EDITIONID></WINDOWS>", "other elements"),
                      ("<FLAGS a=\"1\"/>", "nothing but attributes")):
        wim = world.path("refused.wim")
        world.run(["cp", made, wim])
        wims.put_xml(wim, whole.replace("</IMAGE>", xml + "</IMAGE>"))
        source = Snapshot(wim)
        world.refused(command(wim, package, "--image", "1", "-o", world.path("no.wim")), 100, what,
                      env=EPOCH)
        source.unchanged()


def e2e_wim_twins(world):
    """Two names that differ in case only, of a hive or of a directory on the way: wimlib would take
    one for the other and leave it out."""
    made, _ = build(world, "made.wim", (SERVER,))
    package = world.package()
    os.mkdir(world.path("dir"))
    with open(world.path("dir/f"), "w") as f:
        f.write("precious")
    for source, target in (("dir/f", f"/{CONFIG}/system"), ("dir", "/windows"),
                           ("dir", "/Windows/InF")):
        wim = world.path("install.wim")
        world.run(["cp", made, wim])
        wims.imagex(world, "update", wim, "1", f"--command=add '{world.path(source)}' '{target}'")
        kept = Snapshot(wim)
        for options in (("-o", world.path("out.wim")), ("--in-place",)):
            world.refused(command(wim, package, *options), 100, "in case only", env=EPOCH)
        kept.unchanged()
        same(os.path.exists(world.path("out.wim")), False, "output")


def e2e_wim_extended_attributes(world):
    """A hive captured on Linux: its owner and mode go, an extended attribute is a reason to refuse."""
    wim, _ = build(world, "install.wim", (SERVER,))
    package = world.package()
    hive = world.path("SYSTEM")
    with open(hive, "wb") as f:
        f.write(wims.file_bytes(world, wim, 1, f"{CONFIG}/SYSTEM"))

    def add():
        wims.imagex(world, "update", wim, "1",
                    f"--command=add '{hive}' '/{CONFIG}/SYSTEM' --unix-data")

    add()
    bake(world, wim, package, "-o", world.path("out.wim"))
    try:
        os.setxattr(hive, "user.IBBMARK", b"precious")
    except OSError as e:
        raise Skip(f"no extended attributes here: {e}")
    add()
    source = Snapshot(wim)
    for options in (("-o", world.path("no.wim")), ("--in-place",)):
        world.refused(command(wim, package, *options), 100, "SYSTEM",
                      "the extended attribute 'user.IBBMARK'", env=EPOCH)
    source.unchanged()


def e2e_wim_hard_link(world):
    """A hive that has a second name is not changed behind the other's back."""
    links = Recipe("Linked", "--windows", "server2022", "--link",
                   f"{CONFIG}/DRIVERS=Windows/WinSxS/DRIVERS of the store")
    wim, _ = build(world, "install.wim", (links,))
    source = Snapshot(wim)
    for options in (("-o", world.path("out.wim")), ("--in-place",)):
        world.refused(command(wim, world.package(name=options[0]), *options), 100, "DRIVERS",
                      env=EPOCH)
    source.unchanged()


def e2e_wim_drivers(world):
    """drivers list, add and remove: there and back, in place and to a new file."""
    package = world.package()
    wim, _ = build(world, "install.wim")
    before = {n: entries(world, wim, n) for n in (1, 2, 3)}

    def listed(path, image):
        return world.ibbake("drivers", "list", path, "--image", str(image), "--json").json()

    old = listed(wim, 2)
    out = world.path("out.wim")
    world.ibbake("drivers", "add", wim, package, "--image", "2", "-o", out, env=EPOCH)
    wims.sound(world, out)
    world.ibbake("verify", out, "--manifest", out + ".manifest.json")
    new = json.dumps(listed(out, 2))
    check("ibbdemo.inf" in new and "ibbdemo.inf" not in json.dumps(old), f"not listed: {new[:2000]}")
    check("ibbdemo.inf" not in json.dumps(listed(out, 1)), "image 1 has it as well")
    for n in (1, 3):
        same(entries(world, out, n), before[n], f"image {n}")
    staged_by_the_rules(world, out, 2, "ibbdemo.inf")
    world.ibbake("drivers", "remove", out, "oem0.inf", "--image", "2", "--in-place", "--overwrite",
                 env=EPOCH)
    wims.sound(world, out)
    left = entries(world, out, 2)
    hives = {f"/{CONFIG}/{h}{e}".lower() for h in HIVES for e in ("", ".LOG1", ".LOG2")}
    same({p for p in left if p.lower() not in hives}, {p for p in before[2] if p.lower() not in hives},
         "files after the removal")
    wims.same_but_for(before[2], left, [h[1:] for h in hives], "after the removal")
    check("ibbdemo.inf" not in json.dumps(listed(out, 2)), "it is listed still")


def e2e_wim_drivers_numbers(world):
    """oemN.inf is another package in another image: not removed from both under one name."""
    packages = [world.package(), world.package("--inf", "other.inf", "--service", "other",
                                               name="other")]
    wim, _ = build(world, "install.wim", (CLIENT, wims.Recipe("Windows 11 again", "--windows", "win11-22631", "--seed", "3")))
    for i, package in enumerate(packages):
        world.ibbake("drivers", "add", wim, package, "--image", str(i + 1), "--in-place",
                     "--overwrite", env=EPOCH)
    kept = Snapshot(wim)
    world.refused(["drivers", "remove", wim, "oem0.inf", "--image", "all", "--in-place",
                   "--overwrite"], 100, "image 2", "other.inf here", "ibbdemo.inf in image 1",
                  "by its INF", env=EPOCH)
    kept.unchanged()
    world.ibbake("drivers", "remove", wim, "oem0.inf", "--image", "2", "--in-place", "--overwrite",
                 env=EPOCH)
    world.ibbake("drivers", "add", wim, packages[0], "--image", "2", "--in-place", "--overwrite",
                 env=EPOCH)
    world.ibbake("drivers", "remove", wim, "oem0.inf", "--image", "all", "--in-place",
                 "--overwrite", env=EPOCH)
    for n in "12":
        check("oem0.inf" not in world.ibbake("drivers", "list", wim, "--image", n).out, f"image {n}")


def e2e_wim_drivers_lacking(world):
    """drivers remove --image all: an image that lacks it is passed over, a named one refuses."""
    packages = [world.package(), world.package("--inf", "other.inf", "--service", "other",
                                               name="other")]
    wim, _ = build(world, "install.wim")
    for package, n in zip(packages, "21"):
        world.ibbake("drivers", "add", wim, package, "--image", n, "--in-place", "--overwrite",
                     env=EPOCH)
    kept, before = Snapshot(wim), {n: entries(world, wim, n) for n in (1, 3)}
    job = ["drivers", "remove", wim, "--in-place", "--overwrite"]
    for names, images, said in ((["ibbdemo.inf"], ["1", "all"], ["image 1", "no driver package ibbdemo.inf"]),
                                (["ibbdemo.inf", "nobody.inf"], ["all"],
                                 ["no driver package nobody.inf is staged in any of its images"]),
                                (["nobody.inf"], ["all"], ["no driver package nobody.inf"])):
        world.refused([*job, *names, *(a for i in images for a in ("--image", i))], 100, *said,
                      env=EPOCH)
        kept.unchanged()
    out = world.path("out.wim")
    r = world.ibbake("drivers", "remove", wim, "ibbdemo.inf", "--image", "all", "-o", out, env=EPOCH)
    r.mentions("no driver package ibbdemo.inf is staged in it")
    wims.sound(world, out)
    parts = load(out + ".manifest.json")["images"]
    same([(i["index"], bool(i.get("operations")), "skipped" in i) for i in parts],
         [(1, False, False), (2, True, False), (3, False, True)], "what was done with each image")
    same([[w for w in i.get("warnings", []) if "ibbdemo.inf" in w] for i in parts],
         [["no driver package ibbdemo.inf is staged in it"], [], []], "warnings")
    for n in before:
        same(entries(world, out, n), before[n], f"image {n}")
    check("ibbdemo.inf" not in world.ibbake("drivers", "list", out, "--image", "2").out, "still there")
    world.ibbake("verify", out, "--manifest", out + ".manifest.json")
    # one name for each image: each loses its own
    world.ibbake(*job, "ibbdemo.inf", "other.inf", "--image", "all", env=EPOCH)
    for n in "12":
        check("oem0.inf" not in world.ibbake("drivers", "list", wim, "--image", n).out, f"image {n}")


def e2e_wim_missing(world):
    """That there is no such file comes before what the output is called."""
    package = world.package()
    for name in ("o.wim", "o.vhd"):
        world.refused(["bake", world.path("missing.wim"), "--size", SIZE, "--drivers", package,
                       "-o", world.path(name)], 255, "missing.wim: open: No such file")
