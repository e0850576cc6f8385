# SPDX-License-Identifier: GPL-3.0-or-later
"""ibbake drivers: any package goes in and comes out, and the store stays what Windows expects."""
import hashlib
import json
import os
import random
import shutil

from cases_bake import EPOCH, EPOCH_FILETIME, check_staged_script, independent_checks, read
from world import CATROOT, CONFIG, STORE, Hive, Skip, Snapshot, check, oem_bits, same

SMALL = ("--size", "256MiB")
HIVES = ("SYSTEM", "DRIVERS", "SOFTWARE")

# Packages of the real material that belong into these two Windows, and why. Not among them:
#   pvscsi            10.0 build 20124 and later only; class SCSIAdapter, its service starts at boot
#   vmci, VBoxGuest   class System, their services start at boot
#   vmxnet3           an inbox INF without a catalog
#   nvidia            edited after it was signed
#   wintun 0.7        cross-signed: no Windows 10 with Secure Boot loads it
BOTH = {
    "asix-win7-utf16": ["AX88172A.inf", "AX88179_178a.inf", "Ax88178.inf", "Ax88772.inf",
                        "Ax88772b.inf", "USBMAC64.inf"],  # NTamd64.6.1 and NTamd64: any later one
    "broadcom-5720": ["b57nd60a.inf"],                    # NTamd64.6.1
    "extension-surfacecoverclick": ["SurfaceCoverClick.inf"],  # NTamd64, class Extension: SYSTEM
    "mlx5-24.4.26429": ["mlx5.inf"],                      # a section for each build from 17763 on
    "netkvm-100.94.104": ["netkvm.inf", "vioprot.inf"],   # NTamd64.6.3, NTamd64
    "softwarecomponent-iastorhsa": ["iaStorHsaComponent.inf"],  # NTamd64.10.0...19041
    "wintun-0.14": ["wintun.inf"],                        # NTamd64
}
VALID = {
    "win10-19041": {**BOTH, "wireguard-nt-attested": ["mullvad-wireguard.inf"]},  # client only
    "server2022": BOTH,
}


# ---- running ----

class Change:
    """drivers add or remove, into a new image."""

    def __init__(self, world, image, verb, *args, env=EPOCH):
        self.path = world.fresh(".vhd")
        self.r = world.ibbake("drivers", verb, image.path, *args, "-o", self.path, env=env)
        self.image = image.at(self.path)
        self.manifest_path = self.path + ".manifest.json"
        with open(self.manifest_path, encoding="utf-8") as f:
            self.manifest = json.load(f)

    def drop(self):
        os.unlink(self.path)
        os.unlink(self.manifest_path)


def listed(world, image):
    """{published name: package} of the OEM packages."""
    doc = world.ibbake("drivers", "list", image.path, "--json").json()
    return {p["published"]: p for p in doc["packages"] if not p["inbox"]}


def rules_hold(world, image, *infs):
    """No rule of the independent checker is broken."""
    oracle = check_staged_script(world)
    if not oracle:
        return
    top = world.extract(image, "Windows")
    config = top + "/" + CONFIG
    expect = [x for inf in infs for x in ("--expect", inf)]
    r = world.run([*oracle, config + "/SYSTEM", config + "/DRIVERS", top + "/Windows", *expect])
    check("0 rules broken" in r.out, f"check_staged.py\n{r}")
    shutil.rmtree(top)


def content(world, image):
    """Everything that staging could touch, as text: hives (keys, security, values) and files."""
    top = world.extract(image, CONFIG, STORE, "Windows/INF", CATROOT, "Windows/System32/drivers")
    found = {}
    for name in HIVES:
        with open(f"{top}/{CONFIG}/{name}", "rb") as f:
            hive = Hive(f.read())
        for path, security, values in hive.everything():
            found[name, path] = hashlib.sha256(security).hexdigest()
            for value, (kind, data) in values.items():
                if (path, value) != ("DriverDatabase", "UpdateDate"):
                    found[name, path, value.lower()] = (kind, data)
    for where, _, files in os.walk(top):
        rel = os.path.relpath(where, top)
        if rel == CONFIG:
            continue
        found["directory", rel] = True
        for f in files:
            with open(os.path.join(where, f), "rb") as g:
                found["file", rel, f] = hashlib.sha256(g.read()).hexdigest()
    shutil.rmtree(top)
    return found


def same_content(got, want, what):
    lost = [k for k in want if k not in got]
    new = [k for k in got if k not in want]
    other = [k for k in want if k in got and got[k] != want[k]]
    check(not (lost or new or other),
          f"{what}: lost {lost[:5]}, new {new[:5]}, changed {other[:5]}")


def each_hive_once(manifest):
    """One open and one commit of each hive, however many packages there are."""
    hives = [f["path"] for f in manifest["files"] if f["kind"] == "hive"]
    same(sorted(set(hives)), sorted(hives), "hives written")
    check(1 <= len(hives) <= 2, f"hives written: {hives}")


# ---- everything at once ----

def all_valid(world, windows, first_number):
    packages = VALID[windows]
    dirs = [world.data("drivers/" + d) for d in packages]
    infs = [inf for list_ in packages.values() for inf in list_]
    image = world.image("--size", "512MiB", "--windows", windows, "--system-hive",
                        world.data("hives/win10-19041/SYSTEM"), "--state", "specialized")
    before = content(world, image)
    add = Change(world, image, "add", *dirs)
    same([p["inf"] for p in add.manifest["packages"]], infs, "packages of the manifest")
    each_hive_once(add.manifest)
    rules_hold(world, add.image, *infs)
    part = world.partition_file(add.image)
    independent_checks(world, add.image, part, infs[0])
    os.unlink(part)
    world.ibbake("verify", add.path, "--manifest", add.manifest_path)
    ours = [p["published"] for p in add.manifest["packages"]]
    same(ours[0], f"oem{first_number}.inf", "the first published name")

    second = Change(world, add.image, "remove", *ours[1::2])
    each_hive_once(second.manifest)
    same(sorted(p["published"] for p in second.manifest["removed"]), sorted(ours[1::2]), "removed")
    rules_hold(world, second.image, *infs[0::2])
    world.ibbake("verify", second.path, "--manifest", second.manifest_path)
    world.ibbake("verify", add.path, "--manifest", second.manifest_path, rc=3)
    now = listed(world, second.image)
    same([n for n in ours if n in now], ours[0::2], "listed after the removal")

    last = Change(world, second.image, "remove", *ours[0::2])
    rules_hold(world, last.image)
    same_content(content(world, last.image), before, "after all were removed")


def e2e_drivers_all_win10(world):
    all_valid(world, "win10-19041", 9)


def e2e_drivers_all_server2022(world):
    all_valid(world, "server2022", 9)


def e2e_drivers_windows_own_records(world):
    """What Windows itself staged is taken out as well: efifw with all it has, never installed."""
    image = world.image(*SMALL, "--windows", "win10-19041", "--system-hive",
                        world.data("hives/win10-19041/SYSTEM"))
    was = listed(world, image)
    check(not was["oem3.inf"]["in_use"] and was["oem2.inf"]["in_use"], f"in use: {was}")
    gone = Change(world, image, "remove", "efifw.inf")
    same([p["published"] for p in gone.manifest["removed"]], ["oem3.inf"], "removed")
    check("oem3.inf" not in listed(world, gone.image), "oem3.inf is still listed")
    top = world.extract(gone.image, CONFIG)
    with open(f"{top}/{CONFIG}/SYSTEM", "rb") as f:
        hive = Hive(f.read())
    for path, _, values in hive.everything():
        check("oem3.inf" not in [v.lower() for v in values] or "DeviceIds" not in path,
              f"{path} still names oem3.inf")
    check(3 not in oem_bits(hive.values("DriverDatabase")["OemInfMap"][1]), "OemInfMap has bit 3")
    world.sound_hive(f"{top}/{CONFIG}/SYSTEM")
    # its number is free again
    again = Change(world, gone.image, "add", world.package())
    same(again.manifest["packages"][0]["published"], "oem3.inf", "the number of the next package")


# ---- what is found, what is left out ----

def e2e_drivers_recurse(world):
    """Several directories; below them only with --recurse; the same package counts once."""
    image = world.image(*SMALL)
    top = world.path("tree")
    os.makedirs(top + "/a/b")
    world.package("--inf", "one.inf", name="tree/a/one")
    world.package("--inf", "two.inf", "--class", "system", name="tree/a/b/two")
    world.package("--inf", "one.inf", name="tree/a/b/copy")
    other = world.package("--inf", "three.inf", name="other")
    world.refused(["drivers", "add", image.path, top, "-o", world.path("out.vhd")], 100,
                  "no driver package to add was found", "--recurse", env=EPOCH)
    add = Change(world, image, "add", top, other, "--recurse")
    same([p["inf"] for p in add.manifest["packages"]], ["one.inf", "two.inf", "three.inf"],
         "packages")
    same(add.manifest["left_out"], [], "a copy is nothing bad")
    each_hive_once(add.manifest)
    rules_hold(world, add.image, "one.inf", "two.inf", "three.inf")


def bad_packages(world):
    """{directory: (exit status, what is said)}"""
    bad = {world.package("--inf", "lacking.inf", "--omit", "ibbdemo.sys", name="lacking"):
           (100, "ibbdemo.sys"),
           world.package("--inf", "dated.inf", "--date", "13/45/2020", name="dated"):
           (255, "DriverVer")}
    noise = world.path("noise")
    os.mkdir(noise)
    with open(noise + "/noise.inf", "wb") as f:
        f.write(random.Random(1).randbytes(100000))
    bad[noise] = (255, "noise.inf")
    foreign = world.package("--inf", "foreign.inf", name="foreign")
    with open(foreign + "/foreign.inf", "rb") as f:
        text = f.read()
    with open(foreign + "/foreign.inf", "wb") as f:
        f.write(text.replace(b"NTamd64", b"NTarm64"))
    bad[foreign] = (100, "no models section")
    try:
        bad[world.data("drivers/pvscsi-1.3.28")] = (100, "no models section")
    except Skip as e:
        world.notes.append(str(e))
    return bad


def e2e_drivers_keep_going(world):
    """A bad package is named; with --keep-going it is left out whole, without it nothing is done."""
    image = world.image(*SMALL, "--windows", "win10-19041")
    good = [world.package("--inf", "first.inf", name="first"),
            world.package("--inf", "last.inf", "--class", "system", name="last")]
    bad = bad_packages(world)
    source = Snapshot(image.path)
    for path, (rc, text) in bad.items():
        world.refused(["drivers", "add", image.path, good[0], path, good[1], "-o",
                       world.path("out.vhd")], rc, text, env=EPOCH)
    add = Change(world, image, "add", good[0], *bad, good[1], "--keep-going")
    same([p["inf"] for p in add.manifest["packages"]], ["first.inf", "last.inf"], "staged")
    same([os.path.dirname(x["inf"]) for x in add.manifest["left_out"]], list(bad), "left out")
    for x, (_, text) in zip(add.manifest["left_out"], bad.values()):
        check(text in x["reason"] or text in x["inf"], f"{x} does not say '{text}'")
        add.r.mentions(x["inf"])
    same(sorted(p["inf"] for p in listed(world, add.image).values()), ["first.inf", "last.inf"],
         "listed")
    rules_hold(world, add.image, "first.inf", "last.inf")
    world.ibbake("verify", add.path, "--manifest", add.manifest_path)
    # only bad ones: refused all the same
    world.refused(["drivers", "add", image.path, *bad, "--keep-going", "-o",
                   world.path("out.vhd")], 100, "no driver package to add", env=EPOCH)
    source.unchanged()


def e2e_drivers_companions_left_out(world):
    """A package and what its CopyINF names go in together or, with --keep-going, not at all."""
    image = world.image(*SMALL, "--windows", "server2025")  # configures no boot-critical package
    good = world.package("--inf", "good.inf", name="good")
    lacks = world.package("--inf", "lacks.inf", "--copy-inf", "nowhere.inf", name="lacks")
    boot = world.package("--inf", "first.inf", "--copy-inf", "boot.inf", name="boot")
    world.package("--inf", "boot.inf", "--class", "system", name="boot")
    with open(boot + "/boot.inf", encoding="latin-1", newline="") as f:
        text = f.read()
    with open(boot + "/boot.inf", "w", encoding="latin-1", newline="") as f:
        f.write(text.replace("StartType     = 3", "StartType     = 0"))
    for package, text in (lacks, "nowhere.inf"), (boot, "boot.inf"):
        world.refused(["drivers", "add", image.path, good, package, "-o", world.path("out.vhd")],
                      100, text, env=EPOCH)
    add = Change(world, image, "add", good, lacks, boot, "--keep-going")
    same([p["directory"] for p in add.manifest["packages"]], [good], "staged")
    left = {os.path.basename(x["inf"]): x["reason"] for x in add.manifest["left_out"]}
    same(sorted(left), ["boot.inf", "first.inf", "lacks.inf"], "left out")
    check("nowhere.inf" in left["lacks.inf"], left["lacks.inf"])
    same(left["first.inf"], "it names boot.inf by CopyINF, which is left out", "the reason")
    rules_hold(world, add.image, "good.inf")


def e2e_drivers_same_name(world):
    """Equal INF and catalog but another driver file: not what the catalog lists."""
    image = world.image(*SMALL)
    package = world.package()
    other = world.path("other")
    shutil.copytree(package, other)
    with open(other + "/ibbdemo.sys", "ab") as f:
        f.write(b"x")
    world.refused(["drivers", "add", image.path, package, other, "-o", world.path("out.vhd")], 100,
                  other, "ibbdemo.sys is not a member of ibbdemo.cat", env=EPOCH)
    add = Change(world, image, "add", package, other, "--keep-going")
    same([p["directory"] for p in add.manifest["packages"]], [package], "staged")
    same([os.path.dirname(x["inf"]) for x in add.manifest["left_out"]], [other], "left out")
    rules_hold(world, add.image, "ibbdemo.inf")


# ---- refusals ----

def e2e_drivers_refusals(world):
    ids = ",".join(rf"PCI\VEN_15B3&DEV_00{n}" for n in (10, 11))
    first = world.image(*SMALL, "--pci-instance", r"PCI\VEN_15B3&DEV_0010=oem0.inf", "--state",
                        "specialized")
    image = Change(world, first, "add", world.package("--ids", ids), "--force").image
    source = Snapshot(image.path)
    out = ("-o", world.path("out.vhd"))

    def no(rc, args, *texts):
        world.refused(["drivers", *args, *out], rc, *texts, env=EPOCH)

    no(100, ["remove", image.path, "pci.inf"], "pci.inf came with Windows")
    no(100, ["remove", image.path, "netmlx5.inf", "--force"], "came with Windows")
    no(100, ["remove", image.path, "oem7.inf"], "no driver package oem7.inf is staged", image.path)
    no(100, ["remove", image.path, "oem0.inf", "nothing.inf", "--force"], "nothing.inf")
    no(100, ["remove", image.path, "oem0.inf"], "oem0.inf", "is in use", "--force")
    no(100, ["remove", image.path, "IBBDEMO.INF"], "is in use")
    no(2, ["remove", image.path], "NAME")
    no(2, ["add", image.path], "DIR")
    no(2, ["update", image.path, "x"], "list, add, remove")
    no(100, ["add", image.path, world.path("nowhere")], "nowhere: there is no such directory")
    os.mkdir(world.path("empty"))
    no(100, ["add", image.path, world.path("empty")], "no driver package to add was found")
    # the new version would take the driver from the device
    newer = world.package("--version", "2.0.0.0", "--date", "06/01/2026", "--ids", ids, name="new")
    no(100, ["add", image.path, newer, "--replace"], "oem0.inf", "is in use", "--force")
    source.unchanged()

    gone = Change(world, image, "remove", "oem0.inf", "ibbdemo.inf", "--force")
    check(any("in use" in w for w in gone.manifest["warnings"]), "no warning about --force")
    same(len(gone.manifest["removed"]), 1, "removed")
    # the device still names oem0.inf: another package of that number would be taken for its driver
    number = ("SYSTEM", "DriverDatabase", "oeminfmap")
    had, left = content(world, first), content(world, gone.image)
    check(left.pop(number) != had.pop(number), "the number is given up")
    same_content(left, had, "what was forced out")
    again = Change(world, gone.image, "add", newer)
    same(again.manifest["packages"][0]["published"], "oem1.inf", "the next published name")


# ---- versions ----

def e2e_drivers_replace_vendor(world):
    """--replace takes out other versions, not another vendor's driver with an INF of that name."""
    image = world.image(*SMALL)
    theirs = world.package("--version", "1.0.0.0", name="theirs")
    ours = world.package("--version", "2.0.0.0", "--provider", "somebody else", name="ours")
    first = Change(world, image, "add", theirs)
    both = Change(world, first.image, "add", ours, "--replace")
    same(both.manifest["removed"], [], "removed")
    same({n: p["provider"] for n, p in listed(world, both.image).items()},
         {"oem0.inf": "ibbake demonstration", "oem1.inf": "somebody else"}, "side by side")


def e2e_drivers_versions(world):
    """A newer version stands beside the old one; --replace takes that out; twice is nothing."""
    image = world.image(*SMALL)
    before = content(world, image)
    one = world.package("--version", "1.0.0.0", name="one")
    two = world.package("--version", "2.0.0.0", "--date", "05/01/2026", name="two")
    three = world.package("--version", "3.0.0.0", "--date", "06/01/2026", "--class", "system",
                          name="three")
    first = Change(world, image, "add", one)
    again = Change(world, first.image, "add", one)
    same(again.manifest["operations"], [], "operations of a second add")
    again.r.mentions("nothing to do")
    beside = Change(world, first.image, "add", two)
    same({n: p["version"] for n, p in listed(world, beside.image).items()},
         {"oem0.inf": "1.0.0.0", "oem1.inf": "2.0.0.0"}, "side by side")
    rules_hold(world, beside.image, "ibbdemo.inf")

    replaced = Change(world, beside.image, "add", three, "--replace")
    each_hive_once(replaced.manifest)
    same({n: p["version"] for n, p in listed(world, replaced.image).items()},
         {"oem2.inf": "3.0.0.0"}, "after --replace")
    rules_hold(world, replaced.image, "ibbdemo.inf")
    world.ibbake("verify", replaced.path, "--manifest", replaced.manifest_path)
    last = Change(world, replaced.image, "remove", "ibbdemo.inf")
    same_content(content(world, last.image), before, "after all were removed")

    # what is asked for stays, though another version of it is asked for as well
    both = Change(world, beside.image, "add", two, three, "--replace")
    same({n: p["version"] for n, p in listed(world, both.image).items()},
         {"oem1.inf": "2.0.0.0", "oem2.inf": "3.0.0.0"}, "--replace with two versions")
    rules_hold(world, both.image, "ibbdemo.inf")


# ---- what Windows needs for its start ----

LOCKDOWN = "Microsoft\\Windows\\CurrentVersion\\Setup\\PnpLockdownFiles"
DRIVER_DIR = "Windows/System32/drivers"


def utf16(*texts, end=1):
    return "".join(t + "\0" for t in texts).encode("utf-16le") + bytes(2 * (end - 1))


def pvscsi_is_configured(world, image, package, name):
    """Service, event source, driver file and its lock, as Windows has them for a boot driver."""
    part = world.partition_file(image)
    system = Hive(read(world, part, f"{CONFIG}/SYSTEM"))
    software = Hive(read(world, part, f"{CONFIG}/SOFTWARE"))
    same(system.values("ControlSet001\\Services\\pvscsi"), {
        "Type": (4, b"\1\0\0\0"), "Start": (4, bytes(4)), "ErrorControl": (4, b"\1\0\0\0"),
        "ImagePath": (2, utf16(r"System32\drivers\pvscsi.sys")),
        "DisplayName": (1, utf16("@oem0.inf,%pvscsi.DiskName%;pvscsi Storage Controller Driver")),
        "Group": (1, utf16("SCSI Miniport")), "Owners": (7, utf16("oem0.inf", end=2)),
        "vwdk.installers": (7, utf16("Windows", end=2))}, "the service")
    same(system.values(r"ControlSet001\Services\EventLog\System\pvscsi"), {
        "EventMessageFile": (2, utf16(r"%SystemRoot%\System32\IoLogMsg.dll")),
        "TypesSupported": (4, b"\7\0\0\0")}, "the event source")
    same(system.values(rf"DriverDatabase\DriverPackages\{name}\Configurations\DDInstall.NT"), {
        "Service": (1, utf16("pvscsi")), "ConfigScope": (4, b"\7\0\0\0"),
        "ConfigFlags": (4, bytes(4)), "IncludedInfs": (7, utf16("pci.inf", end=2))},
        "the configuration")
    same(software.values(LOCKDOWN + r"\%SystemRoot%/System32/drivers/pvscsi.sys"), {
        "Class": (4, b"\4\0\0\0"), "Owners": (7, utf16("oem0.inf", end=2)),
        "Source": (2, utf16(r"%SystemRoot%\System32\DriverStore\FileRepository" + "\\" + name
                            + r"\pvscsi.sys"))}, "the lock on the file")
    with open(package + "/pvscsi.sys", "rb") as f:
        same(read(world, part, DRIVER_DIR + "/pvscsi.sys"), f.read(), "the driver file")
    independent_checks(world, image, part, "pvscsi.inf")
    os.unlink(part)
    (_, attributes, time, sid, _), = world.describe(image, DRIVER_DIR + "/pvscsi.sys").values()
    same((attributes & 0x26, time, sid >= 0x100), (0x20, EPOCH_FILETIME, True), "its metadata")


def e2e_drivers_boot_critical(world):
    """A real storage driver is configured for the boot, and taken out without a trace."""
    package = world.data("drivers/pvscsi-1.3.28")
    image = world.image(*SMALL, "--windows", "server2022")
    before = content(world, image)
    added = Change(world, image, "add", package)
    added.r.mentions("configured for the boot: the class is boot-critical")
    same([os.path.basename(f["path"]) for f in added.manifest["files"] if f["kind"] == "hive"],
         ["SYSTEM", "SOFTWARE"], "hives written")
    pvscsi_is_configured(world, added.image, package, added.manifest["packages"][0]["package_name"])
    world.ibbake("verify", added.path, "--manifest", added.manifest_path)
    again = Change(world, added.image, "add", package)
    same(again.manifest["operations"], [], "operations of a second add")
    # its own service is a use of it
    world.refused(["drivers", "remove", added.path, "pvscsi.inf", "-o", world.path("out.vhd")],
                  100, "in use", "--force")
    gone = Change(world, added.image, "remove", "pvscsi.inf", "--force")
    same_content(content(world, gone.image), before, "after it was removed")

    never = Change(world, image, "add", package, "--reflect=never")
    never.r.mentions("warning: pvscsi.inf is staged and not configured")
    same(len([f for f in never.manifest["files"] if f["path"].startswith(DRIVER_DIR)]), 0, "copies")
    rules_hold(world, never.image, "pvscsi.inf")


def e2e_drivers_boot_critical_refused(world):
    """Nothing half: where Windows' own records are not known, the package stays outside."""
    package = world.package("--class", "scsi", "--boot-start")
    for windows in ("win11-22631", "server2025"):
        image = world.image(*SMALL, "--windows", windows, name=windows + ".vhd")
        world.refused(["drivers", "add", image.path, package, "-o", world.path("out.vhd")], 100,
                      "boot-critical", "PnpResources", "--reflect=never")
        never = Change(world, image, "add", package, "--reflect", "never")
        rules_hold(world, never.image, "ibbdemo.inf")
        never.drop()


def e2e_drivers_precompiled(world):
    """Removal takes the .PNF that Windows made, and leaves those of others."""
    image = world.image(*SMALL, "--stale-pnf", "3")
    before = content(world, image)
    add = Change(world, image, "add", world.package())
    same(add.manifest["packages"][0]["published"], "oem0.inf", "number")
    gone = Change(world, add.image, "remove", "oem0.inf")
    same_content(content(world, gone.image), before, "with another's .PNF")


# ---- any order ----

CLASSES = ("net", "system")


def random_package(world, rng, n):
    """Some IDs are shared by many packages, some have many parts, some are spelt otherwise."""
    pool = [rf"PCI\VEN_15B3&DEV_{i:04X}" for i in range(12)]
    pool += [rf"PCI\VEN_15B3&DEV_{i:04x}&SUBSYS_0001&REV_00" for i in range(4)]
    pool += [r"*PNP0F03", r"ROOT\IBB", r"ROOT\IBB\DEEP", r"USB\Vid_15b3&Pid_1", "ms_ibb"]
    ids = rng.sample(pool, rng.randint(1, 6))
    name = f"{rng.choice(('x', 'Xy', 'rdma', 'a b'))}{rng.randint(0, 2)}.inf"
    return world.package("--inf", name, "--class", rng.choice(CLASSES), "--version",
                         f"{rng.randint(1, 9)}.{n}.0.0", "--date",
                         f"0{rng.randint(1, 9)}/1{rng.randint(0, 9)}/202{rng.randint(0, 6)}",
                         "--ids", ",".join(ids), name=f"random{n}")


def real_packages(world):
    try:
        return [world.data("drivers/" + d) for d in
                ("netkvm-100.94.104", "extension-surfacecoverclick", "wintun-0.14",
                 "softwarecomponent-iastorhsa")]
    except Skip as e:
        world.notes.append(str(e))
        return []


def e2e_drivers_property(world):
    """Random sets of packages added and removed in random order keep every rule, and when all are
    gone the image holds what it held. IBB_TEST_SEED, IBB_TEST_STEPS."""
    seed = int(os.environ.get("IBB_TEST_SEED") or "20261120", 0)
    steps = int(os.environ.get("IBB_TEST_STEPS") or 12)
    print(f"seed {seed}, {steps} steps")
    rng = random.Random(seed)
    world_windows = rng.choice(("win10-19041", "server2022", "server2025", "server2019"))
    image = world.image(*SMALL, "--windows", world_windows, "--oem", "1", "--oem", "12")
    pool = [random_package(world, rng, n) for n in range(10)] + real_packages(world)
    before = content(world, image)
    now, used = image, {1, 12}
    last = None
    for step in range(steps):
        staged = sorted(listed(world, now))
        if staged and rng.random() < 0.45:
            names = rng.sample(staged, rng.randint(1, min(3, len(staged))))
            change = Change(world, now, "remove", *names)
            same(sorted(p["published"] for p in change.manifest["removed"]), sorted(names),
                 f"step {step}: removed")
        else:
            dirs = rng.sample(pool, rng.randint(1, 3))
            options = ["--replace"] if rng.random() < 0.3 else []
            change = Change(world, now, "add", *dirs, *options, "--force")
        what = f"seed {seed}, step {step}: {change.r.argv[2:]}"
        check_step(world, change, used, what)
        if last:
            last.drop()
        last, now = change, change.image
    staged = sorted(listed(world, now))
    if staged:
        now = Change(world, now, "remove", *staged).image
    same_content(content(world, now), before, f"seed {seed}: after all were removed")


def check_step(world, change, used, what):
    rules_hold(world, change.image, *[p["inf"] for p in change.manifest["packages"]])
    world.ibbake("verify", change.path, "--manifest", change.manifest_path)
    part = world.partition_file(change.image)
    for name in ("SYSTEM", "DRIVERS"):
        data = read(world, part, f"{CONFIG}/{name}")
        path = world.fresh("." + name)
        with open(path, "wb") as f:
            f.write(data)
        world.sound_hive(path)
        os.unlink(path)
        if name == "SYSTEM":
            bits = oem_bits(Hive(data).values("DriverDatabase")["OemInfMap"][1])
    os.unlink(part)
    numbers = {int(n[3:-4]) for n in listed(world, change.image)}
    same(bits, numbers | used, f"{what}: OemInfMap")
