# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input: one clear error naming file and place, the documented exit status, nothing written."""
import json
import os
import shutil
import struct
import subprocess
import time

from cases_bake import EPOCH, bake, dig, read
from world import CONFIG, IB_ID, SIZE, Hive, Snapshot, check, same

SMALL = ("--size", "256MiB")


def patch(path, at, data, whence=os.SEEK_SET):
    with open(path, "r+b") as f:
        f.seek(at, whence)
        f.write(data)


def try_bake(world, image, package, rc, *texts, options=(), size=SIZE, out="out.vhd"):
    source = Snapshot(image.path)
    r = world.refused(["bake", image.path, "--size", size, "--drivers", package, "-o",
                       world.path(out), *options], rc, *texts, env=EPOCH)
    source.unchanged()
    return r


# ---- container and partition table ----

def e2e_bad_footer_truncated(world):
    image = world.image(*SMALL)
    os.truncate(image.path, os.path.getsize(image.path) - 100)
    try_bake(world, image, world.package(), 255, "base.vhd", "footer")


def e2e_bad_footer_checksum(world):
    image = world.image(*SMALL)
    patch(image.path, -512 + 30, b"\xff", os.SEEK_END)
    try_bake(world, image, world.package(), 255, "base.vhd", "footer", "checksum")


def e2e_bad_footer_size(world):
    """A footer that promises more than the file holds, its checksum right."""
    image = world.image(*SMALL)
    with open(image.path, "rb") as f:
        f.seek(-512, os.SEEK_END)
        b = bytearray(f.read())
    struct.pack_into(">Q", b, 48, struct.unpack_from(">Q", b, 48)[0] * 2)
    struct.pack_into(">I", b, 64, 0)
    struct.pack_into(">I", b, 64, ~sum(b) & 0xffffffff)
    patch(image.path, -512, bytes(b), os.SEEK_END)
    try_bake(world, image, world.package(), 255, "base.vhd", "footer")


def e2e_bad_truncated_disk(world):
    image = world.image("--size", "256MiB", name="base.raw")
    os.truncate(image.path, 64 << 20)
    try_bake(world, image, world.package(), 255, "base.raw", out="out.raw",
             options=("--format", "raw"))


def e2e_bad_partition_table(world):
    """Both GPT headers damaged."""
    image = world.image(*SMALL)
    patch(image.path, 512 + 40, b"\xff")
    patch(image.path, -512 - 512 + 40, b"\x00", os.SEEK_END)
    try_bake(world, image, world.package(), 255, "base.vhd", "GPT")


def e2e_damaged_primary_gpt(world):
    """The backup header is used, and that is said."""
    image = world.image(*SMALL)
    patch(image.path, 512 + 40, b"\xff")
    bake(world, image, world.package(), world.path("out.vhd")).mentions("backup")


def e2e_bad_partition_overlap(world):
    image = world.image("--size", "256MiB", "--table", "mbr", name="base.raw")
    second = image.partition("windows")
    patch(image.path, 446 + 16 + 8, struct.pack("<I", second["offset"] // 512 - 2048))
    try_bake(world, image, world.package(), 255, "base.raw", "partition", out="out.raw",
             options=("--format", "raw"))


def e2e_bad_partition_past_end(world):
    image = world.image("--size", "256MiB", "--table", "mbr", name="base.raw")
    patch(image.path, 446 + 16 + 12, struct.pack("<I", 0x7fffffff))
    try_bake(world, image, world.package(), 255, "base.raw", "partition", out="out.raw",
             options=("--format", "raw"))


def e2e_other_containers(world):
    """What ibbake does not read is refused with the name of what it is."""
    package = world.package()
    for name, magic, word in (("a.vmdk", b"KDMV", "VMDK"), ("b.qcow2", b"QFI\xfb\0\0\0\3", "qcow2")):
        path = world.path(name)
        with open(path, "wb") as f:
            f.write(magic)
            f.truncate(8 << 20)
        world.refused(["bake", path, "--size", SIZE, "--drivers", package, "-o",
                       world.path("out.vhd")], 100, name, word)
    # a WIM is read, but no disk is made of it
    path = world.path("c.wim")
    with open(path, "wb") as f:
        f.write(b"MSWIM\0\0\0")
        f.truncate(8 << 20)
    world.refused(["bake", path, "--size", SIZE, "--drivers", package, "-o", world.path("out.vhd")], 2,
                  "c.wim is a WIM")
    world.refused(["bake", path, "--size", SIZE, "--drivers", package, "-o", world.path("out.wim")], 255,
                  "c.wim")


def e2e_not_an_image(world):
    package = world.package()
    empty, missing = world.path("empty.vhd"), world.path("missing.vhd")
    open(empty, "wb").close()
    world.refused(["bake", empty, "--size", SIZE, "--drivers", package, "-o",
                   world.path("out.vhd")], 255, "empty.vhd")
    world.refused(["bake", missing, "--size", SIZE, "--drivers", package, "-o",
                   world.path("out.vhd")], 255, "missing.vhd")


# ---- hives ----

def spoilt_hive(world, spoil):
    """An image whose SYSTEM hive was damaged by `spoil`, otherwise sound."""
    good = world.image(*SMALL, name="good.vhd")
    data = bytearray(read(world, world.partition_file(good), f"{CONFIG}/SYSTEM"))
    spoil(data)
    path = world.path("SYSTEM.bad")
    with open(path, "wb") as f:
        f.write(data)
    return world.image(*SMALL, "--system-hive", path)


def e2e_bad_hive_truncated(world):
    def spoil(data):
        del data[len(data) // 2:]

    try_bake(world, spoilt_hive(world, spoil), world.package(), 255, "SYSTEM")


def e2e_bad_hive_cell(world):
    def spoil(data):  # the first cell of the first bin claims to be larger than the hive
        struct.pack_into("<i", data, 4096 + 32, -0x7ffffff8)

    try_bake(world, spoilt_hive(world, spoil), world.package(), 255, "SYSTEM", "0x")


def e2e_bad_hive_signature(world):
    def spoil(data):
        data[:4] = b"fger"

    try_bake(world, spoilt_hive(world, spoil), world.package(), 255, "SYSTEM")


def e2e_bad_hive_list(world):
    def spoil(data):  # the root's subkey list points outside
        root = 4096 + struct.unpack_from("<I", data, 36)[0] + 4
        struct.pack_into("<I", data, root + 28, 0x00fffff8)

    try_bake(world, spoilt_hive(world, spoil), world.package(), 255, "SYSTEM", "0x")


# ---- packages ----

def e2e_bad_inf(world):
    package = world.package()
    inf = os.path.join(package, "ibbdemo.inf")
    with open(inf, "r+b") as f:
        text = f.read().replace(b"[Manufacturer]", b"[Manufacturer", 1)
        f.seek(0)
        f.write(text)
        f.truncate()
    try_bake(world, world.image(*SMALL), package, 255, "ibbdemo.inf:")


def e2e_bad_inf_truncated(world):
    """Cut in its models section: what is left no longer says how to install."""
    package = world.package()
    inf = os.path.join(package, "ibbdemo.inf")
    os.truncate(inf, os.path.getsize(inf) // 2)
    r = world.ibbake("bake", world.image(*SMALL).path, "--size", SIZE, "--drivers", package, "-o",
                     world.path("out.vhd"), rc=None)
    check(r.rc in (100, 255), f"exit status\n{r}")
    r.says("ibbdemo.inf")
    check(not os.path.exists(world.path("out.vhd")), "an output was written")


def e2e_bad_inf_binary(world):
    package = world.package()
    with open(os.path.join(package, "ibbdemo.inf"), "wb") as f:
        f.write(bytes(range(256)) * 64)
    r = try_bake(world, world.image(*SMALL), package, 255, "ibbdemo.inf")
    check("\x01" not in r.err, "control characters reach the terminal")


def e2e_missing_package_file(world):
    package = world.package()
    os.unlink(os.path.join(package, "ibbdemo.sys"))
    try_bake(world, world.image(*SMALL), package, 100, "ibbdemo.sys", "ibbdemo.inf")


def e2e_missing_catalog(world):
    package = world.package()
    os.unlink(os.path.join(package, "ibbdemo.cat"))
    try_bake(world, world.image(*SMALL), package, 100, "ibbdemo.cat")


def e2e_no_package(world):
    os.mkdir(world.path("nothing"))
    try_bake(world, world.image(*SMALL), world.path("nothing"), 100, "101C&SUBSYS_000715B3")


def e2e_bare_id_only(world):
    """A package that knows the function only as DEV_101C binds accelerated networking."""
    package = world.package("--bare-only")
    try_bake(world, world.image(*SMALL), package, 100, "DEV_101C", "InfiniBand")


def e2e_package_twice(world):
    """Named twice, and lying in two places: one package."""
    image = world.image(*SMALL)
    one = world.package(name="one")
    shutil.copytree(one, world.path("two"))
    out = world.path("out.vhd")
    bake(world, image, one, out, "--drivers", one, "--drivers", world.path("two"))
    part = world.partition_file(image.at(out))
    check(world.ntfscat(part, "Windows/INF/oem0.inf"), "nothing was staged")
    check(world.ntfscat(part, "Windows/INF/oem1.inf") is None, "one package was staged twice")


def e2e_better_package_wins(world):
    """Of two packages that serve the function the one Windows ranks higher is staged."""
    image = world.image(*SMALL)
    old = world.package("--date", "01/02/2024", "--version", "1.0.0.0", name="old")
    new = world.package("--date", "03/04/2025", "--version", "2.0.0.0", name="new")
    out = world.path("out.vhd")
    r = bake(world, image, old, out, "--drivers", new)
    part = world.partition_file(image.at(out))
    with open(os.path.join(new, "ibbdemo.inf"), "rb") as f:
        same(read(world, part, "Windows/INF/oem0.inf"), f.read(), "the INF that was staged")
    check(world.ntfscat(part, "Windows/INF/oem1.inf") is None, "the older one was staged as well")
    r.mentions(world.path("old"), "left out")


def e2e_upgrade_and_downgrade(world):
    """On an image that holds another version: Windows will choose by date, and that is said."""
    image = world.image(*SMALL)
    old = world.package("--date", "01/02/2024", "--version", "1.0.0.0", name="old")
    new = world.package("--date", "03/04/2025", "--version", "2.0.0.0", name="new")
    first, second = world.path("first.vhd"), world.path("second.vhd")
    bake(world, image, old, first)
    bake(world, image.at(first), new, second, "--require", "driver")
    part = world.partition_file(image.at(second))
    drivers = Hive(read(world, part, f"{CONFIG}/DRIVERS"))
    same([drivers.text(f"DriverDatabase\\DriverInfFiles\\{n}", "Active") is not None
          for n in ("oem0.inf", "oem1.inf")], [True, True], "both versions are registered")
    bake(world, image, new, world.path("newer.vhd"))
    newer = image.at(world.path("newer.vhd"))
    try_bake(world, newer, old, 100, "would not choose", "oem0.inf", "later DriverVer date")
    try_bake(world, newer, old, 100, "driver", options=("--require", "driver", "--force"))
    r = bake(world, newer, old, world.path("forced.vhd"), "--force")
    r.mentions("may not choose", "absent")


def e2e_companions(world):
    """CopyINF: what a package names is staged with it, from its directory, once."""
    package = world.package("--copy-inf", "other.inf")
    world.package("--inf", "other.inf", "--service", "other", "--ids", r"PCI\VEN_1AF4&DEV_1000")
    image, out = world.image(*SMALL), world.path("out.vhd")
    doc = bake(world, image, package, out, "--json").json()
    same([(p["inf"], p["published"]) for p in doc["packages"]],
         [("ibbdemo.inf", "oem0.inf"), ("other.inf", "oem1.inf")], "packages staged")
    again = world.ibbake("plan", out, "--size", SIZE, "--drivers", package, "--json").json()
    same(again["operations"], [], "operations of a second plan")
    os.remove(os.path.join(package, "other.inf"))
    os.remove(out)
    os.remove(out + ".manifest.json")
    try_bake(world, image, package, 100, "other.inf", "ibbdemo.inf")


def e2e_output_is_an_input(world):
    """What is being read is never written, by whatever name and with --overwrite."""
    image, package = world.image(*SMALL), world.package()
    inf = os.path.join(package, "ibbdemo.inf")
    before = open(inf, "rb").read()
    link = world.path("link.vhd")
    os.link(os.path.join(package, "ibbdemo.sys"), link)
    for out, options in ((inf, ()), (link, ()), (world.path("out.vhd"), ("--manifest", inf))):
        r = world.ibbake("bake", image.path, "--size", SIZE, "--drivers", package, "-o", out,
                         "--overwrite", *options, rc=100)
        r.says("driver package")
    # a name that the INF spells otherwise is the same file
    os.rename(os.path.join(package, "ibbdemo.cat"), os.path.join(package, "IBBDemo.CAT"))
    r = world.ibbake("bake", image.path, "--size", SIZE, "--drivers", package, "-o",
                     os.path.join(package, "IBBDemo.CAT"), "--overwrite", rc=100)
    r.says("IBBDemo.CAT", "driver package")
    same(open(inf, "rb").read(), before, "the INF is as it was")
    check(not os.path.exists(world.path("out.vhd")), "an output appeared")


def e2e_package_spelling(world):
    """The INF spells its files otherwise than the directory does: Windows would find them."""
    package = world.package()
    os.rename(os.path.join(package, "ibbdemo.sys"), os.path.join(package, "IbbDemo.SYS"))
    os.rename(os.path.join(package, "ibbdemo.cat"), os.path.join(package, "IBBDEMO.CAT"))
    os.rename(os.path.join(package, "ibbdemo.inf"), os.path.join(package, "IBBdemo.INF"))
    image = world.image(*SMALL)
    out = world.path("out.vhd")
    bake(world, image, package, out)
    drivers = Hive(read(world, world.partition_file(image.at(out)), f"{CONFIG}/DRIVERS"))
    name = drivers.text("DriverDatabase\\DriverInfFiles\\oem0.inf", "Active")
    check(name.startswith("ibbdemo.inf_amd64_"), f"the package is called {name}")
    same(drivers.text(f"DriverDatabase\\DriverPackages\\{name}", "InfName"), "IBBdemo.INF",
         "InfName keeps the spelling")


def e2e_device_has_driver(world):
    """A device that already runs a driver is not searched again: staging alone is not enough."""
    image = world.image(*SMALL, "--state", "specialized", "--pci-instance",
                        IB_ID + "=netmlx5.inf")
    package = world.package()
    doc = world.ibbake("plan", image.path, "--size", SIZE, "--drivers", package, "--json",
                       env=EPOCH).json()
    same(len(dig(doc, "needs_install_at_boot")), 1, "devices that need an install at boot")
    try_bake(world, image, package, 100, "driver", options=("--require", "driver"))


# ---- what is asked for ----

def e2e_unknown_size(world):
    r = try_bake(world, world.image(*SMALL), world.package(), 100, "HB120rs_v9",
                 size="Standard_HB120rs_v9")
    r.says("Standard_HB120rs_v3")


def e2e_size_without_infiniband(world):
    try_bake(world, world.image(*SMALL), world.package(), 100, "Standard_H16m",
             size="Standard_H16m")


def e2e_nd_size(world):
    """ND was never published: without a package refused, with the user's own staged, warned."""
    image = world.image(*SMALL, "--windows", "server2012r2")
    try_bake(world, image, world.package(), 100, "never published", size="Standard_H16r",
             options=("--allow-unsupported",))
    nd = world.package("--inf", "nd.inf", "--ids",
                       r"VMBUS\{8c2eaf3d-32a7-4b09-ab99-bd1f1c86b501}", name="nd")
    bake(world, image, nd, world.path("out.vhd"), "--allow-unsupported",
         size="Standard_H16r").mentions("retired")


def e2e_retired_size(world):
    """A retired size is a warning, never a refusal."""
    bake(world, world.image(*SMALL, "--windows", "server2019"), world.package(),
         world.path("out.vhd"), size="Standard_HB60rs").mentions("retired")


def e2e_require_lines(world):
    """A readiness line that is asked for and absent is a refusal."""
    image, package = world.image(*SMALL), world.package()
    for line in ("user-nd", "address"):
        try_bake(world, image, package, 100, line, options=("--require", line))
    bake(world, image, package, world.path("out.vhd"), "--require", "driver")


def e2e_catalog_local(world):
    """A catalog's entry on this machine is searched; a digest it pins is never passed over."""
    image, package = world.image(*SMALL), world.package()
    with open(os.path.join(world.args.source, "catalogs/azure-rdma.json")) as f:
        catalog = json.load(f)
    entry = {"driver_set": "winof2", "path": package, "sha256": None}
    doc = world.ibbake("drivers", "check", package, *world.anchor, "--json").json()
    for pin in (None, doc["packages"][0]["sha256"], "0" * 64):
        path = world.path("catalog.json")
        with open(path, "w") as f:
            json.dump(dict(catalog, local=[dict(entry, sha256=pin)]), f)
        argv = ["bake", image.path, "--size", SIZE, "--catalog", path, "-o",
                world.path("out.vhd")]
        if pin == "0" * 64:
            world.refused(argv, 100, f"the driver catalog pins {pin} for {package}")
            continue
        world.ibbake(*argv).mentions("staged as oem0.inf")
        os.unlink(world.path("out.vhd"))
        os.unlink(world.path("out.vhd.manifest.json"))


def e2e_unsigned_package(world):
    """Staged, but never called ready: Windows would not load its driver."""
    image, package = world.image(*SMALL), world.package("--no-catalog")
    out = world.path("out.vhd")
    r = bake(world, image, package, out, "--allow=unsigned")
    check("  driver   absent   ibbdemo.inf 1.0.0.0 is unsigned" in r.out, f"ready\n{r}")
    r = world.ibbake("verify", out, "--manifest", out + ".manifest.json")
    check("  driver   absent   oem0.inf serves" in r.out, f"ready\n{r}")
    try_bake(world, image, package, 100, "unsigned",
             options=("--require", "driver", "--allow=unsigned"),
             out="other.vhd")


def e2e_arm64_size(world):
    try_bake(world, world.image(*SMALL), world.package(), 100, "Arm64",
             size="Standard_ND128isr_NDR_GB200_v6", options=("--allow-unsupported",))


def e2e_unsupported_windows(world):
    """A client with ConnectX-7 is unsupported, until the user says otherwise."""
    image = world.image(*SMALL, "--windows", "win11-22631")
    package = world.package()
    try_bake(world, image, package, 100, "not supported", "--allow-unsupported",
             size="Standard_HB176rs_v4")
    bake(world, image, package, world.path("out.vhd"), "--allow-unsupported",
         size="Standard_HB176rs_v4")
    with open(world.path("out.vhd.manifest.json"), encoding="utf-8") as f:
        check("unsupported" in f.read(), "the manifest does not record it")


def e2e_usage(world):
    """Wrong use: exit status 2, on stderr, nothing on stdout."""
    for args in ([], ["bake"], ["bake", "x.vhd"], ["nonsense"], ["plan", "x.vhd", "--no-such"],
                 ["bake", "x.vhd", "--size", SIZE, "-o", "y.vhd", "--digest=md5"],
                 ["bake", "x.vhd", "--size", SIZE, "-o", "y.vhd", "--require", "luck"],
                 ["resolve", "--size", SIZE]):
        r = world.ibbake(*args, rc=2)
        check(r.err.strip(), f"nothing on stderr\n{r}")
        same(r.out, "", f"stdout of {args}")


def e2e_input_changed(world):
    """Somebody writes the input while it is read: status 255 and no output."""
    image = world.image("--size", "1GiB", "--fill", "96")
    package = world.package()
    out = world.path("out.vhd")
    p = subprocess.Popen([world.args.ibbake, "bake", *world.anchor, image.path, "--size", SIZE, "--drivers",
                          package, "-o", out], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=world.env)
    stamp = 1_000_000_000
    while p.poll() is None:
        stamp += 1
        os.utime(image.path, (stamp, stamp))
        time.sleep(0.001)
    err = p.stderr.read()
    p.stdout.close()
    p.stderr.close()
    same(p.returncode, 255, f"exit status ({err})")
    check("base.vhd" in err and "while it was read" in err, f"stderr: {err}")
    same([f for f in os.listdir(world.dir) if f not in ("base.vhd", "package")], [],
         "files left behind")


def e2e_no_space(world):
    """A volume that is nearly full: refused before anything is done, with both numbers."""
    image = world.image("--size", "96MiB", "--tiny-volume")
    package = world.package("--pad", str(4 << 20))
    try_bake(world, image, package, 100, "free")
