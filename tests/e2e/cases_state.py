# SPDX-License-Identifier: GPL-3.0-or-later
"""States of an image: what is refused, what is warned about, which Windows is meant."""
import json
import os
import subprocess

from cases_bake import EPOCH, bake, dig, staged_in
from cases_input import SMALL, try_bake
from world import SIZE, Snapshot, check, same


def inspect(world, image):
    source = Snapshot(image.path)
    doc = world.ibbake("inspect", image.path, "--json").json()
    source.unchanged()
    return doc


# ---- refused ----

def e2e_dirty_volume(world):
    try_bake(world, world.image(*SMALL, "--dirty-volume"), world.package(), 100, "dirty")


def e2e_hibernated(world):
    try_bake(world, world.image(*SMALL, "--hibernated"), world.package(), 100, "hiberfil.sys")


def e2e_dirty_hive(world):
    r = try_bake(world, world.image(*SMALL, "--dirty-hive"), world.package(), 100, "SYSTEM")
    r.says("hint:")


def e2e_pending_servicing(world):
    image, package = world.image(*SMALL, "--pending-servicing"), world.package()
    try_bake(world, image, package, 100, "pending").says("--force")
    bake(world, image, package, world.path("out.vhd"), "--force").mentions("pending", "--force")
    staged_in(world, image, world.path("out.vhd"), "ibbdemo.inf", 0)


def e2e_x86_windows(world):
    try_bake(world, world.image(*SMALL, "--windows", "win10-19041", "--arch", "x86"),
             world.package(), 100, "x86")


def e2e_arm64_windows(world):
    try_bake(world, world.image(*SMALL, "--windows", "win11-22631", "--arch", "arm64"),
             world.package(), 100, "arm64")


def e2e_windows7(world):
    try_bake(world, world.image(*SMALL, "--windows", "win7", "--state", "specialized"),
             world.package(), 100, "6.1.7601")


def e2e_real_windows7(world):
    hive = world.data("hives/win7/SYSTEM")
    image = world.image(*SMALL, "--windows", "win7", "--system-hive", hive)
    try_bake(world, image, world.package(), 100, "6.1.7601")


def e2e_real_dirty_hive(world):
    """A real hive whose logs were not written back."""
    hive = world.data("hives/win10-1903-dirty-no-logs/SYSTEM")
    image = world.image(*SMALL, "--windows", "win10-19041", "--system-hive", hive)
    try_bake(world, image, world.package(), 100, "SYSTEM", "4317", "4316")


def e2e_no_windows(world):
    try_bake(world, world.image(*SMALL, "--no-windows"), world.package(), 100,
             "Windows/System32/config/SYSTEM")


def e2e_two_windows(world):
    """Two installations: the user says which."""
    image = world.image("--size", "512MiB", "--second-windows")
    package = world.package()
    one, two = (image.partition(r)["number"] for r in ("windows", "windows2"))
    try_bake(world, image, package, 100, "--partition", str(one), str(two))
    out = world.path("out.vhd")
    bake(world, image, package, out, "--partition", str(two))
    part = world.partition_file(image.at(out), role="windows2")
    check(world.ntfscat(part, "Windows/INF/oem0.inf"), "not staged in the partition asked for")
    part = world.partition_file(image.at(out), role="windows")
    check(world.ntfscat(part, "Windows/INF/oem0.inf") is None, "staged in the other partition")


def e2e_hidden_windows(world):
    """One Windows is in sight, another partition cannot be looked into: said, not hidden."""
    image = world.image("--size", "512MiB", "--second-windows")
    package, out = world.package(), world.path("out.vhd")
    one, two = (image.partition(r) for r in ("windows", "windows2"))
    with open(image.path, "r+b") as f:
        f.seek(one["offset"] + 3)
        f.write(b"-FVE-FS-")
    r = bake(world, image, package, out)
    said = f"warning: partition {one['number']} could not be looked into"
    check(said in r.out and f"partition {two['number']} was taken" in r.out
          and "BitLocker" in r.out, f"no warning\n{r}")
    r = bake(world, image, package, out, "--overwrite", "--partition", str(two["number"]))
    check(said not in r.out, f"warned though the user chose\n{r}")


def e2e_wrong_partition(world):
    image, package = world.image(*SMALL), world.package()
    for number in ("1", "9"):
        r = world.ibbake("bake", image.path, "--size", SIZE, "--drivers", package, "-o",
                         world.path("out.vhd"), "--partition", number, rc=None)
        check(r.rc in (2, 100), f"exit status\n{r}")
        r.says("partition " + number)
        check(not os.path.exists(world.path("out.vhd")), "an output was written")


def e2e_missing_drivers_hive(world):
    try_bake(world, world.image(*SMALL, "--no-drivers-hive"), world.package(), 100, "DRIVERS")


# ---- warned about ----

def warned(world, options, *texts):
    image, package = world.image(*SMALL, *options), world.package()
    doc = inspect(world, image)
    warnings = "\n".join(str(w) for w in dig(doc, "warnings") or [])
    for text in texts:
        check(text.lower() in warnings.lower(), f"inspect warns not of {text!r}, but: {warnings}")
    bake(world, image, package, world.path("out.vhd")).mentions(*texts)
    staged_in(world, image, world.path("out.vhd"), "ibbdemo.inf", 0)
    with open(world.path("out.vhd.manifest.json"), encoding="utf-8") as f:
        manifest = f.read().lower()
    for text in texts:
        check(text.lower() in manifest, f"the manifest does not record {text!r}")


def e2e_audit_mode(world):
    warned(world, ("--state", "audit"), "audit mode")


def e2e_setup_in_progress(world):
    warned(world, ("--state", "setup-in-progress"), "set-up", "IMAGE_STATE_UNDEPLOYABLE")


def e2e_snapshots_and_journal(world):
    warned(world, ("--vss", "--usn"), "shadow", "USN")


def e2e_installed_before(world):
    """The extension has run, or WinOF-2 is installed: named with their versions."""
    warned(world, ("--winof2", "24.4.50000", "--extension-plugin"), "24.4.50000", "1.5")


def e2e_quiet_when_all_is_well(world):
    """A generalized and a specialized image give no warning about their state."""
    for state in ("generalized", "specialized"):
        image = world.image(*SMALL, "--state", state, name=state + ".vhd")
        same(dig(inspect(world, image), "warnings") or [], [], f"warnings of a {state} image")


# ---- facts ----

def e2e_inspect_facts(world):
    """Release, edition, product type: by the registry, not by names."""
    for release, build, server in (("server2016", 14393, True), ("win10-19045", 19045, False),
                                   ("win11-22631", 22631, False), ("server2025", 26100, True)):
        image = world.image(*SMALL, "--windows", release, name=release + ".vhd")
        text = world.ibbake("inspect", image.path, "--json").out
        check(str(build) in text, f"{release}: no build {build}\n{text[:2000]}")
        check(("ServerNT" if server else "WinNT") in text, f"{release}: no product type")
        world.ibbake("inspect", image.path).mentions(str(build))


def e2e_inspect_dirty(world):
    """inspect shows what it can of an image that bake refuses."""
    image = world.image(*SMALL, "--dirty-hive")
    r = world.ibbake("inspect", image.path, rc=100)
    r.mentions("SYSTEM", "not cleanly closed", "partition")
    check("SYSTEM" in r.out, f"nothing is shown of it\n{r}")


CONFIG = "Windows/System32/config"


def e2e_wof_hive_is_read(world):
    """Compact OS: what inspect says does not depend on how SOFTWARE is stored; bake reads it too."""
    plain = world.image(*SMALL, name="plain.vhd")
    image = world.image(*SMALL, "--wof", f"{CONFIG}/SOFTWARE", name="base.vhd")
    want, got = dig(inspect(world, plain), "image"), dig(inspect(world, image), "image")
    same(dig(want, "edition"), "ServerDatacenter", "edition")
    same(got, want, "facts")
    bake(world, image, world.package(), world.path("out.vhd"))
    staged_in(world, image, world.path("out.vhd"), "ibbdemo.inf", 0)


def e2e_wof_hive_is_not_written(world):
    """Writing into a compressed hive would leave Windows the old one: refused, with the remedy."""
    image = world.image(*SMALL, "--wof", f"{CONFIG}/DRIVERS")
    r = try_bake(world, image, world.package(), 100, "DRIVERS", "overlay filter")
    r.says("compact /u /exe")


def e2e_drivers_list(world):
    image, package = world.image(*SMALL), world.package()
    check("oem0.inf" not in world.ibbake("drivers", "list", image.path).out, "listed before")
    bake(world, image, package, world.path("out.vhd"), env=EPOCH)
    r = world.ibbake("drivers", "list", world.path("out.vhd"))
    for text in ("oem0.inf", "ibbdemo.inf", "1.0.0.0"):
        check(text in r.out, f"'{text}' is not listed\n{r}")
    world.ibbake("drivers", "list", world.path("out.vhd"), "--json").json()


def e2e_drivers_list_filters(world):
    """--filter: every key, patterns, several of them; and the files of a package."""
    image = world.image(*SMALL, "--pci-instance", r"PCI\VEN_15B3&DEV_101C=oem0.inf")
    out = world.path("out.vhd")
    bake(world, image, world.package(), out, "--force", env=EPOCH)

    def listed(*filters):
        args = [x for f in filters for x in ("--filter", f)]
        doc = world.ibbake("drivers", "list", out, "--json", *args).json()
        return [p["published"] for p in doc["packages"]]

    for f in ("published=oem0.inf", "inf=IBBdemo.*", "package=ibbdemo.inf_amd64_*",
              "provider=ibbake*", "version=1.0.0.?", "date=2026-04-16", "signer=*demonstration*"):
        same(listed(f), ["oem0.inf"], f)
    check("oem0.inf" in listed("class=net"), "class by name")
    check("oem0.inf" in listed("class={4D36E972-*", "node=drivers", "inbox=no"), "several filters")
    same(listed("published=oem0.inf", "node=system"), [], "all must match")
    same([n for n in listed("inbox=yes") if n.startswith("oem")], [], "inbox=yes")
    same(listed("boot-critical=yes", "inbox=no"), [], "boot-critical=yes")
    for f in ("colour=red", "class", "=x", "classes=net"):
        world.ibbake("drivers", "list", out, "--filter", f, rc=2).says(f, "KEY=PATTERN")
    doc = world.ibbake("drivers", "list", out, "--filter", "inbox=no", "--json").json()
    files = [os.path.basename(f) for f in doc["packages"][0]["files"]]
    same(sorted(files), ["ibbdemo.cat", "ibbdemo.inf", "ibbdemo.sys", "oem0.cat", "oem0.inf"],
         "files of the package")
    world.ibbake("drivers", "list", out, "-v").mentions("CatRoot", "netmlx5.inf")


# ---- answers without an image, and the channels ----

def e2e_sizes_and_resolve(world):
    doc = world.ibbake("sizes", "--json").json()
    text = world.ibbake("sizes").out
    for size in ("Standard_HB120rs_v3", "Standard_HB176rs_v4", "Standard_HC44rs", "Standard_A8"):
        check(size in str(doc) and size in text, f"{size} is not listed")
    doc = world.ibbake("resolve", "--size", SIZE, "--os", "server2022", "--json").json()
    same(dig(doc, "state"), "validated", "state of HBv3 on Server 2022")
    check(any(r["decided"] for r in dig(doc, "rules")), "no rule decided")
    world.ibbake("resolve", "--size", SIZE, "--os", "20348").mentions("Server 2022")
    r = world.ibbake("resolve", "--size", "Standard_D2s_v3", "--os", "server2022", rc=100)
    check(r.err.startswith("ibbake: "), f"stderr\n{r}")
    world.ibbake("resolve", "--size", SIZE, "--os", "beos", rc=2).says("server2022")


def e2e_channels(world):
    """stdout is data, stderr is talk; -q silences it; progress can be JSON lines."""
    image, package = world.image(*SMALL), world.package()
    r = bake(world, image, package, world.path("a.vhd"), "--json", "--progress=json")
    check(r.json()["schema"].startswith("ibbake-"), "stdout names no schema")
    lines = [json.loads(x) for x in r.err.splitlines() if x.startswith("{")]
    check(any("phase" in x for x in lines), f"no progress as JSON\n{r}")
    r = bake(world, image, package, world.path("b.vhd"), "-q")
    same(r.err, "", "stderr of bake -q")
    r = world.ibbake("--help")
    check(len(r.out.splitlines()) <= 50, "the help does not fit a screen")
    for command in ("sizes", "resolve", "inspect", "plan", "bake", "verify", "drivers"):
        check(command in r.out, f"--help does not name {command}")
        world.ibbake(command, "--help")
    check(world.ibbake("--version").out.startswith("ibbake "), "--version")
    with open("/dev/full", "w") as full:
        done = subprocess.run([world.args.ibbake, "sizes"], stdout=full, stderr=subprocess.PIPE,
                              env=world.env)
    same(done.returncode, 255, "exit status when stdout is full")
