# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job: an image without the driver goes in, one that has it comes out."""
import hashlib
import json
import os
import re
import struct
import subprocess

from world import (CATROOT, CONFIG, IB_ID, SIZE, STORE, Hive, Snapshot, check, content_digest,
                   data_runs, find_tool, oem_bits, same, sids)

PACKAGE_NAME = re.compile(r"^.+\.inf_amd64_[0-9a-f]{16}$")
CLASS_NET = "{4d36e972-e325-11ce-bfc1-08002be10318}"
FLAG_SYSTEM_FILE = 0x06  # hidden, system
EPOCH = {"SOURCE_DATE_EPOCH": "1790000000"}
EPOCH_FILETIME = (1790000000 + 11644473600) * 10 ** 7


def dig(doc, key):
    """The first value under that key, wherever it stands."""
    if isinstance(doc, dict):
        if key in doc:
            return doc[key]
        doc = list(doc.values())
    if isinstance(doc, list):
        for item in doc:
            found = dig(item, key)
            if found is not None:
                return found
    return None


def host_digest(path):
    with open(path, "rb") as f:
        return f.read()


def read(world, part, path):
    data = world.ntfscat(part, path)
    check(data is not None, f"{path} is not in the volume (ntfscat)")
    return data


def staged_files(world, part, package_dir, inf, oem):
    """FileRepository, INF and CatRoot hold exact copies; read by ntfs-3g's own program."""
    drivers = Hive(read(world, part, f"{CONFIG}/DRIVERS"))
    name = drivers.text(f"DriverDatabase\\DriverInfFiles\\{oem}.inf", "Active")
    check(name and PACKAGE_NAME.match(name), f"{oem}.inf: Active is {name!r}")
    check(name.startswith(inf.lower() + "_"), f"package {name} is not called after {inf}")
    for top, _, files in os.walk(package_dir):
        for f in files:
            rel = os.path.relpath(os.path.join(top, f), package_dir)
            got = world.ntfscat(part, f"{STORE}/{name}/{rel}")
            if got is None and rel.lower().endswith((".man", ".pem")):
                continue  # lies beside the package, the INF does not name it
            same(got, host_digest(os.path.join(top, f)), f"{STORE}/{name}/{rel}")
    same(read(world, part, f"Windows/INF/{oem}.inf"),
         host_digest(os.path.join(package_dir, inf)), f"INF/{oem}.inf")
    same(read(world, part, f"{CATROOT}/{oem}.cat"),
         host_digest(os.path.join(package_dir, inf.replace(".inf", ".cat"))), f"{oem}.cat")
    return name, drivers


def staged_records(drivers, system_before, system_after, name, inf, number):
    """The database as spec'd: four places, no more."""
    oem = f"oem{number}.inf"
    key = f"DriverDatabase\\DriverPackages\\{name}"
    v = drivers.values(key)
    same(drivers.text(key, ""), oem, "default value of the package")
    same(drivers.text(key, "InfName"), inf, "InfName")
    same(len(v["Version"][1]), 48, "length of Version")
    check("Provider" in v and "SignerScore" in v and "SignerName" in v, f"values {sorted(v)}")
    for never in ("FileSize", "ManifestHash", "CatalogAttributes"):
        check(never not in v, f"{never} was written: its rule is not known")
    owner, group, granted = sids(drivers.security(key))
    same((owner, group), ("S-1-5-18", "S-1-5-18"), "owner and group of the package's key")
    same(granted, ["S-1-5-18", "S-1-3-4", "S-1-1-0"], "who has rights on the package's key")
    same(drivers.time(key), EPOCH_FILETIME, "time of the package's key")
    # Configurations come at install; the submission id of Microsoft's signature with the import
    same(drivers.subkeys(key) or [], ["Properties"] if inf == "mlx5.inf" else [],
         "subkeys of the package")
    files = drivers.values(f"DriverDatabase\\DriverInfFiles\\{oem}")
    same(files[""], (7, name.encode("utf-16le") + bytes(4)), "DriverInfFiles default value")
    same(drivers.values(f"DriverDatabase\\DeviceIds\\{CLASS_NET}")[oem], (0, b""), "class entry")
    same(drivers.values("DriverDatabase\\DeviceIds\\" + IB_ID)[oem][1][:1], b"\x01",
         "DeviceIds entry of the InfiniBand function")
    before = oem_bits(system_before.values("DriverDatabase")["OemInfMap"][1])
    after = oem_bits(system_after.values("DriverDatabase")["OemInfMap"][1])
    same(after, before | {number}, "OemInfMap")
    check(oem not in (system_after.values(f"DriverDatabase\\DeviceIds\\{CLASS_NET}") or {}),
          "a Net package was registered in the SYSTEM node")


def independent_checks(world, image, part, inf):
    """Nobody of these shares code with ibbake (the extraction of the directory does)."""
    if find_tool("ntfsresize"):
        world.sound_ntfs(part)
    for hive in ("SYSTEM", "DRIVERS", "SOFTWARE"):
        path = world.fresh("." + hive)
        with open(path, "wb") as f:
            f.write(read(world, part, f"{CONFIG}/{hive}"))
        world.sound_hive(path)
    oracle = check_staged_script(world)
    if not oracle:
        return
    windows = world.extract(image, "Windows") + "/Windows"
    config = windows + "/System32/config"
    r = world.run([*oracle, config + "/SYSTEM", config + "/DRIVERS", windows, "--expect", inf])
    check("0 rules broken" in r.out, f"check_staged.py\n{r}")


def check_staged_script(world):
    top = os.environ.get("IBB_TEST_DATA") or os.path.join(world.args.source, "../shared/data")
    script = os.path.join(top, "../oracles/check_staged.py")
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else "python3"
    probe = subprocess.run([python, "-c", "import hivex"], capture_output=True)
    if not os.path.exists(script) or probe.returncode:
        check(os.environ.get("IBB_REQUIRE_DATA") != "1",
              f"IBB_REQUIRE_DATA=1, but {script} or python3-hivex is missing")
        world.notes.append("check_staged.py or python3-hivex is not at hand: not asked")
        return None
    return [python, "-B", script]


def bake(world, image, package, out, *options, size=SIZE, env=EPOCH):
    return world.ibbake("bake", image.path, "--size", size, "--drivers", package, "-o", out,
                        *options, env=env)


def whole_job(world, image, package, inf, number, section=None, host=None,
              verdict="trust-anchor"):
    """Plan, bake, look at the result with independent eyes, verify, bake again."""
    os.chmod(image.path, 0o444)
    source = Snapshot(image.path)
    part_before = world.partition_file(image)
    system_before = Hive(read(world, part_before, f"{CONFIG}/SYSTEM"))
    os.unlink(part_before)

    plan = world.ibbake("plan", image.path, "--size", SIZE, "--drivers", package, "--json",
                        env=EPOCH).json()
    check(len(dig(plan, "operations")) > 10, "the plan is empty")
    sections = [s["section"] for s in dig(plan, "models_sections")]
    if section:
        check(any(s.lower().endswith(section.lower()) for s in sections),
              f"models sections {sections}, want one that ends in {section}")
    same(sorted(f for f in world.listing() if f.startswith("out")), [], "files a plan has made")
    source.unchanged()

    out = world.path("out.vhd")
    r = bake(world, image, package, out)
    r.mentions(f"signature: {verdict}")
    source.unchanged()
    manifest = out + ".manifest.json"
    check(os.path.getsize(manifest) > 1000, "no manifest")
    same(os.path.getsize(out), os.path.getsize(image.path), "size of the output")

    result = image.at(out)
    part = world.partition_file(result)
    name, drivers = staged_files(world, part, package, inf, f"oem{number}")
    system = Hive(read(world, part, f"{CONFIG}/SYSTEM"))
    for hive in (system, drivers):
        same(*hive.sequences, "the hive's sequence numbers")
    staged_records(drivers, system_before, system, name, inf, number)
    independent_checks(world, result, part, inf)
    file_metadata(world, result, name, number)
    manifest_holds(world, part, manifest, verdict)
    os.unlink(part)

    world.ibbake("verify", out, "--manifest", manifest)
    second_bake(world, result, package)
    same_bytes(world, image, package, out)
    source.unchanged()
    return result, manifest


def file_metadata(world, result, name, number):
    """What is new carries Windows' attributes, the bake's time, and rights that are inherited."""
    found = world.describe(result, f"{STORE}/{name}", f"Windows/INF/oem{number}.inf",
                           f"{CATROOT}/oem{number}.cat")
    check(len(found) >= 5, f"found {sorted(found)}")
    for path, (_, attributes, time, sid, sd) in found.items():
        if path.endswith(name):
            continue
        same(attributes & 0x20, 0x20, f"{path}: archive attribute")
        same(attributes & FLAG_SYSTEM_FILE, 0, f"{path}: hidden or system attribute")
        same(time, EPOCH_FILETIME, f"{path}: time")
        check(sid >= 0x100, f"{path}: security id {sid:#x} is not one of $Secure")
        check("SY" in sd or "S-1-5-18" in sd, f"{path}: SYSTEM is not in {sd}")
        check(";WD)" not in sd and "S-1-1-0)" not in sd, f"{path}: open to everyone: {sd}")


def manifest_holds(world, part, manifest, verdict):
    """What the manifest says of each file is what ntfs-3g's own program reads."""
    with open(manifest, encoding="utf-8") as f:
        doc = json.load(f)
    same(doc["signature"], {"whql": "verified", "trust-anchor": "test trust"}[verdict],
         "the manifest's verdict on the signature")
    check(len(doc["files"]) >= 7, f"the manifest lists {len(doc['files'])} files")
    for entry in doc["files"]:
        data = read(world, part, entry["path"])
        same((str(len(data)), hashlib.sha256(data).hexdigest()),
             (str(entry["after"]["bytes"]), entry["after"]["sha256"]), entry["path"])


def second_bake(world, result, package):
    plan = world.ibbake("plan", result.path, "--size", SIZE, "--drivers", package, "--json",
                        env=EPOCH).json()
    same(dig(plan, "operations"), [], "operations of a second plan")


def same_bytes(world, image, package, out):
    again = world.path("again.vhd")
    bake(world, image, package, again)
    same(content_digest(again), content_digest(out), "content of two bakes of one second")
    os.unlink(again)


def e2e_real(world):
    """The real WinOF-2 package into a real Windows 10 SYSTEM hive, on a 30 GiB disk."""
    hive = world.data("hives/win10-19041/SYSTEM")
    package = world.data("drivers/mlx5-24.4.26429")
    image = world.image("--size", "30GiB", "--windows", "win10-19041", "--state", "specialized",
                        "--system-hive", hive, "--recovery")
    result, _ = whole_job(world, image, package, "mlx5.inf", 9, "NTamd64.10.0...18305",
                          verdict="whql")
    part = world.partition_file(result)
    drivers = Hive(read(world, part, f"{CONFIG}/DRIVERS"))
    key = drivers.key("DriverDatabase\\DeviceIds\\PCI")
    spelt = [n for n, _ in drivers.children(key)]
    with open(os.path.join(package, "mlx5.inf"), encoding="latin-1") as f:
        check("VEN_15B3&DEV_101c&SUBSYS_000715B3&REV_00" in f.read(), "the INF's own spelling")
    check("VEN_15B3&DEV_101c&SUBSYS_000715B3&REV_00" in spelt,
          "the ID is not indexed as the INF spells it")


def e2e_generated(world):
    """The same with nothing but our own material."""
    image = world.image("--windows", "server2022", "--oem", "0", "--oem", "2", "--recovery",
                        "--fill", "8")
    package = world.package()
    result, manifest = whole_job(world, image, package, "ibbdemo.inf", 1)
    spoil(world, result, manifest, package)


def spoil(world, result, manifest, package):
    """verify sees one flipped bit of a staged file: exit status 3, naming it."""
    driver = host_digest(os.path.join(package, "ibbdemo.sys"))
    with open(result.path, "r+b", buffering=0) as f:
        p = result.partition()
        at = find_bytes(f.fileno(), p["offset"], p["length"], driver[:4096])
        check(at is not None, "the driver's bytes are not in the image")
        f.seek(at + 100)
        f.write(bytes([driver[100] ^ 1]))
    world.ibbake("verify", result.path, "--manifest", manifest, rc=3).mentions("ibbdemo.sys")


def find_bytes(fd, start, length, needle):
    for off, n in data_runs(fd, start, start + length):
        at = os.pread(fd, n, off).find(needle)
        if at >= 0:
            return off + at
    return None


def e2e_damaged_store(world):
    """A package that is staged, but not as a whole, is neither 'nothing to do' nor 'ready'."""
    image, package = world.image("--size", "256MiB"), world.package()
    baked = world.path("baked.vhd")
    bake(world, image, package, baked)
    with open(baked + ".manifest.json") as f:
        name = dig(json.load(f), "packages")[0]["package_name"]
    inf, driver = (host_digest(os.path.join(package, n)) for n in ("ibbdemo.inf", "ibbdemo.sys"))
    active = name.encode("utf-16le") + b"\0\0"
    for needle, change, text in (
            (driver[:512], bytes(512), "ibbdemo.sys is not the package's"),
            (inf[:256], bytes(256), "Windows/INF/oem0.inf is not the package's"),
            (active, active.replace(b"i\0n\0f\0", b"x\0x\0x\0"), "active"),
            ("ibbdemo.sys".encode("utf-16le"), "ibbdemo.xxx".encode("utf-16le"),
             "ibbdemo.sys is missing")):
        broken, again = world.path("broken.vhd"), world.path("again.vhd")
        world.run(["cp", "--sparse=always", baked, broken])
        p = image.partition()
        with open(broken, "r+b", buffering=0) as f:
            hits = find_all(f.fileno(), p["offset"], p["length"], needle)
            if text == "active":  # data of registry values: the size of their cell is negative
                hits = [at for at in hits if os.pread(f.fileno(), 1, at - 1) == b"\xff"]
            if needle == inf[:256]:
                hits = hits[-1:]  # the copy in the FileRepository came first
            if "missing" in text:  # file names: their length and namespace come before
                hits = [at for at in hits if os.pread(f.fileno(), 2, at - 2) == b"\x0b\0"]
            check(hits, f"{text}: nothing to change in the image")
            for at in hits:
                os.pwrite(f.fileno(), change, at)
        r = world.ibbake("bake", broken, "--size", SIZE, "--drivers", package, "-o", again,
                         rc=None)
        check(r.rc == 100 and text in r.err, f"not refused because of: {text}\n{r}")
        check("pnputil /delete-driver oem0.inf" in r.err, f"no remedy\n{r}")
        check(not os.path.exists(again), "an output")
        if text == "active":
            r = world.ibbake("inspect", broken, "--json").json()
            check("oem0.inf" not in [f["published"] for f in r["infiniband"]],
                  "inspect says that oem0.inf serves a function")
        os.unlink(broken)


def find_all(fd, start, length, needle):
    found = []
    for off, n in data_runs(fd, start, start + length):
        data = os.pread(fd, n, off)
        at = data.find(needle)
        while at >= 0:
            found.append(off + at)
            at = data.find(needle, at + 1)
    return found


def staged_in(world, image, out, inf, number, size=SIZE):
    """A short look: verify agrees, the INF is published."""
    world.ibbake("verify", out, "--manifest", out + ".manifest.json")
    part = world.partition_file(image.at(out))
    data = read(world, part, f"Windows/INF/oem{number}.inf")
    check(b"VEN_15B3" in data or "VEN_15B3".encode("utf-16le") in data, "not our INF")
    if find_tool("ntfsresize"):
        world.sound_ntfs(part)
    return part


def e2e_mbr(world):
    """Raw file, MBR, a first NTFS partition that holds no Windows."""
    image = world.image("--table", "mbr", "--size", "512MiB", "--windows", "server2019",
                        name="base.raw")
    bake(world, image, world.package(), world.path("out.raw"), "--format=raw")
    staged_in(world, image, world.path("out.raw"), "ibbdemo.inf", 0)


def e2e_4k_sectors(world):
    image = world.image("--sector", "4096", "--size", "512MiB", "--windows", "server2025",
                        name="base.raw")
    bake(world, image, world.package(), world.path("out.raw"), "--format=raw")
    staged_in(world, image, world.path("out.raw"), "ibbdemo.inf", 0)


def e2e_bare_volume(world):
    image = world.image("--table", "none", "--size", "256MiB", name="base.raw")
    bake(world, image, world.package(), world.path("out.raw"), "--format=raw")
    staged_in(world, image, world.path("out.raw"), "ibbdemo.inf", 0)


def e2e_utf16_inf(world):
    image = world.image("--size", "256MiB")
    bake(world, image, world.package("--encoding", "utf16"), world.path("out.vhd"))
    staged_in(world, image, world.path("out.vhd"), "ibbdemo.inf", 0)


def e2e_oem_numbers(world):
    """The number is the lowest that nothing uses: bits, a stale .PNF, and a second control set."""
    image = world.image("--size", "256MiB", "--oem", "0", "--oem", "1", "--stale-pnf", "2",
                        "--oem", "3", "--oem", "4", "--oem", "5", "--oem", "6", "--oem", "7",
                        "--control-set", "2")
    bake(world, image, world.package(), world.path("out.vhd"))
    part = staged_in(world, image, world.path("out.vhd"), "ibbdemo.inf", 8)
    system = Hive(read(world, part, f"{CONFIG}/SYSTEM"))
    same(oem_bits(system.values("DriverDatabase")["OemInfMap"][1]), {0, 1, 3, 4, 5, 6, 7, 8},
         "OemInfMap")


def e2e_other_windows(world):
    """The records follow the Windows release: no Catalog before 18362, no ImportDate before 10."""
    package = world.package()
    for release, has_catalog, has_date in (("server2012r2", False, False),
                                           ("server2016", False, True),
                                           ("win11-22631", True, True)):
        image = world.image("--size", "256MiB", "--windows", release, name=release + ".vhd")
        out = world.path(release + "-out.vhd")
        bake(world, image, package, out, "--allow-unsupported", size="Standard_HC44rs")
        part = staged_in(world, image, out, "ibbdemo.inf", 0)
        drivers = Hive(read(world, part, f"{CONFIG}/DRIVERS"))
        name = drivers.text("DriverDatabase\\DriverInfFiles\\oem0.inf", "Active")
        v = drivers.values(f"DriverDatabase\\DriverPackages\\{name}")
        same(("Catalog" in v, "ImportDate" in v), (has_catalog, has_date),
             f"{release}: Catalog, ImportDate")


def e2e_several_sizes(world):
    """Two sizes, one package that serves both: staged once."""
    image = world.image("--size", "256MiB")
    package = world.package()
    out = world.path("out.vhd")
    world.ibbake("bake", image.path, "--size", SIZE, "--size", "Standard_HC44rs", "--drivers",
                 package, "-o", out, env=EPOCH)
    part = staged_in(world, image, out, "ibbdemo.inf", 0)
    check(world.ntfscat(part, "Windows/INF/oem1.inf") is None, "staged twice")


def e2e_two_packages_for_two_sizes(world):
    """Each size gets the package that serves its function."""
    image = world.image("--size", "256MiB")
    cx5 = world.package("--inf", "five.inf", "--service", "five", "--ids",
                        r"PCI\VEN_15B3&DEV_1018&SUBSYS_000715B3&REV_00", name="five")
    cx6 = world.package("--inf", "six.inf", "--service", "six", "--ids", IB_ID, name="six")
    out = world.path("out.vhd")
    world.ibbake("bake", image.path, "--size", SIZE, "--size", "Standard_HC44rs", "--drivers", cx5,
                 "--drivers", cx6, "-o", out, env=EPOCH)
    part = staged_in(world, image, out, "six.inf", 0)
    drivers = Hive(read(world, part, f"{CONFIG}/DRIVERS"))
    found = {drivers.text("DriverDatabase\\DriverPackages\\" + p, "InfName")
             for p in drivers.subkeys("DriverDatabase\\DriverPackages")}
    check({"five.inf", "six.inf"} <= found, f"staged: {found}")


def e2e_system_class(world):
    """A class that the image calls boot-critical belongs to the SYSTEM node."""
    image = world.image("--size", "256MiB")
    out = world.path("out.vhd")
    bake(world, image, world.package("--class", "system"), out)
    part = staged_in(world, image, out, "ibbdemo.inf", 0)
    system = Hive(read(world, part, f"{CONFIG}/SYSTEM"))
    drivers = Hive(read(world, part, f"{CONFIG}/DRIVERS"))
    check(system.key("DriverDatabase\\DriverInfFiles\\oem0.inf"), "not in the SYSTEM node")
    check(drivers.key("DriverDatabase\\DriverInfFiles\\oem0.inf") is None,
          "in the DRIVERS node")
    independent_checks(world, image.at(out), part, "ibbdemo.inf")


def e2e_digests(world):
    """Whole-image digests are what the manifest's schema says they are."""
    image = world.image("--size", "128MiB", "--fill", "3")
    package = world.package()
    for kind, mine in (("content", content_of), ("sha256", flat_of)):
        out = world.path(kind + ".vhd")
        bake(world, image, package, out, "--digest=" + kind)
        with open(out + ".manifest.json", encoding="utf-8") as f:
            doc = json.load(f)
        for side, path in (("input", image.path), ("output", out)):
            check(mine(path) in json.dumps(doc[side]["digest"]),
                  f"{kind} of the {side}: {doc[side]['digest']}, not {mine(path)}")


def flat_of(path):
    return hashlib.sha256(host_digest(path)).hexdigest()


def content_of(path):
    """SHA-256 over offset, length and SHA-256 of each 1 MiB chunk that is not all zero."""
    step, h = 1 << 20, hashlib.sha256()
    data = host_digest(path)
    for at in range(0, len(data), step):
        chunk = data[at:at + step]
        if chunk.strip(b"\0"):
            h.update(struct.pack("<QQ", at, len(chunk)) + hashlib.sha256(chunk).digest())
    return h.hexdigest()


def e2e_verify_other_image(world):
    """verify tells an image that was not baked, and a manifest that is none."""
    image = world.image("--size", "256MiB")
    out = world.path("out.vhd")
    bake(world, image, world.package(), out)
    manifest = out + ".manifest.json"
    world.ibbake("verify", image.path, "--manifest", manifest, rc=3)
    broken = world.path("broken.json")
    with open(manifest, "rb") as f, open(broken, "wb") as g:
        g.write(f.read()[:2000])
    world.ibbake("verify", out, "--manifest", broken, rc=255).says("broken.json")
    world.ibbake("verify", out, "--manifest", world.path("none.json"), rc=255).says("none.json")
    doc = world.ibbake("verify", out, "--manifest", manifest, "--json").json()
    check("schema" in doc, "verify --json names no schema")


def e2e_verify_digest(world):
    """A recorded digest of the whole image is checked: a byte that no file holds counts."""
    image = world.image("--size", "256MiB")
    for kind in ("content", "sha256"):
        out = world.path(kind + ".vhd")
        bake(world, image, world.package(), out, "--digest=" + kind)
        manifest = out + ".manifest.json"
        world.ibbake("verify", out, "--manifest", manifest)
        with open(out, "r+b") as f:
            f.seek(600 * 1024)  # between the partition table and the first partition
            f.write(b"x")
        world.ibbake("verify", out, "--manifest", manifest, rc=3).mentions("digest")
        world.ibbake("verify", out, "--manifest", manifest, "--booted")


def e2e_readme(world):
    """What the README shows of ci/demo is what the program prints."""
    with open(os.path.join(world.args.source, "README.md"), encoding="utf-8") as f:
        text = f.read()
    block = text[text.index("    $ ibbake bake"):].split("\n\n")[0].split("\n")
    command = block[0].split()[2:]
    world.run([world.args.mkimage, world.path("base.vhd"), "--windows", "server2022"])
    world.run([world.args.mkpkg, "--root", world.path("root.pem"), world.path("package")])
    here = os.getcwd()
    os.chdir(world.path("."))
    try:
        r = world.ibbake(*command, env=EPOCH)
    finally:
        os.chdir(here)
    same(r.out.rstrip("\n").split("\n"), [line[4:] for line in block[1:]], "the transcript")


def e2e_dry_run(world):
    image = world.image("--size", "256MiB")
    source = Snapshot(image.path)
    before = world.listing()
    package = world.package()
    bake(world, image, package, world.path("out.vhd"), "--dry-run")
    same({f for f in world.listing() - before if not f.startswith("package")}, set(),
         "files a dry run left")
    source.unchanged()


def e2e_vhd_identity(world):
    """The footer keeps its unique id and describes the same disk."""
    image = world.image("--size", "256MiB")
    out = world.path("out.vhd")
    bake(world, image, world.package(), out)
    footers = []
    for path in (image.path, out):
        with open(path, "rb") as f:
            f.seek(-512, os.SEEK_END)
            footers.append(f.read())
    same(footers[1], footers[0], "VHD footer")
    if world.oracle("qemu-img"):
        r = world.run([find_tool("qemu-img"), "info", "--output=json", "-f", "vpc", out])
        same(r.json()["format"], "vpc", "qemu-img's opinion")


def e2e_holes_stay_holes(world):
    """A large, sparse disk costs what it holds."""
    image = world.image("--size", "30GiB")
    out = world.path("out.vhd")
    bake(world, image, world.package(), out)
    before, after = os.stat(image.path).st_blocks, os.stat(out).st_blocks
    check(after * 512 < before * 512 + (8 << 20), f"{before} blocks became {after}")


def e2e_generator_repeats(world):
    """The images of these tests are the same every time."""
    options = ("--size", "256MiB", "--fill", "1", "--usn", "--second-windows")
    first = world.image(*options, name="a.vhd")
    second = world.image(*options, name="b.vhd")
    same(content_digest(second.path), content_digest(first.path), "content")
    other = world.image("--size", "256MiB", "--fill", "1", "--seed", "2", name="c.vhd")
    check(content_digest(other.path) != content_digest(first.path), "the seed does nothing")
