# SPDX-License-Identifier: GPL-3.0-or-later
"""Trust: what nobody that Windows believes vouches for does not enter an image."""
import hashlib
import json
import os
import shutil
import subprocess

from cases_bake import CONFIG, EPOCH, bake, dig, read, second_bake, staged_in
from cases_input import SMALL, patch, try_bake
from world import SIZE, Hive, check, same

EVERYTHING = "--allow=unsigned,vendor-signed,test-signed,untrusted-root"
SUBMISSION = r"Properties\{4da162c1-5eb1-4140-a444-5064c9814e76}\0009"


def manifest(out):
    with open(out + ".manifest.json", encoding="utf-8") as f:
        return json.load(f)


def refused_however(world, image, package, *texts):
    """Refused, and no allowance helps."""
    try_bake(world, image, package, 100, *texts)
    try_bake(world, image, package, 100, *texts, options=[EVERYTHING])


# ---- generated packages ----

def e2e_untrusted_root(world):
    """The root of the generated packages is nobody's: refused, allowed by name, or anchored."""
    image, package, out = world.image(*SMALL), world.package(), world.path("out.vhd")
    world.trust = False
    r = try_bake(world, image, package, 100, "ibbdemo.inf", "untrusted-root",
                 "ibbake demonstration publisher")
    r.says("hint:", "--allow=untrusted-root")
    r = bake(world, image, package, out, "--allow=untrusted-root")
    check(r.out.startswith("WEAKENED: "), f"not said in first place\n{r}")
    r.mentions("signature: untrusted-root", "--allow=untrusted-root")
    doc = manifest(out)
    same((doc["signature"], doc["options"]["allow"]), ("allowed", ["untrusted-root"]), "manifest")
    same(doc["packages"][0]["signature"]["allowed"], True, "allowed")
    world.trust = True
    r = bake(world, image, package, out, "--overwrite")
    check(r.out.startswith("TEST TRUST: "), f"not said in first place\n{r}")
    doc = manifest(out)
    with open(world.root, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    same((doc["signature"], doc["options"]["trust_anchors"], doc["options"]["crls"]),
         ("test trust", [{"path": world.root, "sha256": digest}], []), "manifest")
    check(any(w.startswith("TEST TRUST") for w in doc["warnings"]), "no warning")
    crl = empty_crl(world)
    bake(world, image, package, out, "--overwrite", "--crl", crl)
    with open(crl, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    same(manifest(out)["options"]["crls"], [{"path": crl, "sha256": digest}], "CRLs")


def empty_crl(world):
    """Of the demonstration root; it revokes nothing."""
    key = os.path.join(os.path.dirname(__file__), "..", "support", "demo-root-key.pem")
    config, crl = world.path("ca.cnf"), world.path("root.crl")
    with open(world.path("index.txt"), "w", encoding="utf-8"):
        pass
    with open(config, "w", encoding="utf-8") as f:
        f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={world.path('index.txt')}\n"
                "default_md=sha256\n")
    subprocess.run(["openssl", "ca", "-gencrl", "-config", config, "-keyfile", key, "-cert",
                    world.root, "-crldays", "30", "-out", crl], check=True, capture_output=True)
    os.chmod(crl, 0o644)
    return crl


def e2e_unsigned(world):
    image, package, out = world.image(*SMALL), world.package("--no-catalog"), world.path("out.vhd")
    try_bake(world, image, package, 100, "unsigned", "no unsigned driver").says("--allow=unsigned")
    try_bake(world, image, package, 100, "unsigned", options=["--allow=test-signed"])
    r = bake(world, image, package, out, "--allow=unsigned")
    r.mentions("driver   absent", "unsigned")
    staged_in(world, image, out, "ibbdemo.inf", 0)


def e2e_tampered(world):
    """One bit of any file: the file is named, and nothing allows it."""
    image = world.image(*SMALL)
    for name, at in (("ibbdemo.inf", 400), ("ibbdemo.sys", 600)):
        package = world.package(name="p-" + name)
        with open(os.path.join(package, name), "r+b") as f:
            f.seek(at)
            b = f.read(1)
            f.seek(at)
            f.write(bytes([b[0] ^ 1]))
        refused_however(world, image, package, "tampered", name, "is not a member of ibbdemo.cat")
    package = world.package(name="p-cat")
    path = os.path.join(package, "ibbdemo.cat")
    with open(path, "rb") as f:
        at = f.read().find("ibbdemo.sys".encode("utf-16le"))
    check(at > 0, "the catalog does not name the driver")
    patch(path, at, b"j")
    refused_however(world, image, package, "tampered", "ibbdemo")


def e2e_line_ends(world):
    """git turned the INF's CRLF to LF: said, instead of a riddle."""
    image, package = world.image(*SMALL), world.package()
    path = os.path.join(package, "ibbdemo.inf")
    with open(path, "rb") as f:
        data = f.read()
    check(b"\r\n" in data, "the generated INF has no CRLF")
    with open(path, "wb") as f:
        f.write(data.replace(b"\r\n", b"\n"))
    refused_however(world, image, package, "tampered", "ibbdemo.inf", "CRLF", "git")


def e2e_keep_going_untrusted(world):
    """drivers add --keep-going leaves what nobody vouches for out whole."""
    image, out = world.image(*SMALL), world.path("out.vhd")
    good = world.package("--inf", "good.inf", "--service", "good", name="good")
    bad = world.package("--inf", "bad.inf", "--service", "bad", "--no-catalog", name="bad")
    world.refused(["drivers", "add", image.path, good, bad, "-o", out], 100, "bad.inf", "unsigned")
    world.ibbake("drivers", "add", image.path, good, bad, "-o", out, "--keep-going", env=EPOCH)
    doc = manifest(out)
    same([p["inf"] for p in doc["packages"]], ["good.inf"], "staged")
    same([os.path.basename(x["inf"]) for x in doc["left_out"]], ["bad.inf"], "left out")
    check("unsigned" in doc["left_out"][0]["reason"], doc["left_out"])


def e2e_companion_elsewhere(world):
    """What CopyINF names is left out: so is what names it, though an equal copy of the companion
    from another directory stands for it."""
    image, out, top = world.image(*SMALL), world.path("out.vhd"), world.path("top")
    os.mkdir(top)
    for d in ("a", "b"):
        world.run([world.args.mkpkg, "--inf", "x.inf", "--service", "x", f"{top}/{d}"])
        with open(f"{top}/{d}/x.sys", "ab") as f:
            f.write(b"changed")
    world.run([world.args.mkpkg, "--inf", "main.inf", "--service", "main", "--copy-inf", "x.inf",
               top + "/b"])
    world.run([world.args.mkpkg, "--inf", "good.inf", "--service", "good", top + "/c"])
    world.ibbake("drivers", "add", image.path, top, "--recurse", "--keep-going", "-o", out,
                 env=EPOCH)
    doc = manifest(out)
    same([p["inf"] for p in doc["packages"]], ["good.inf"], "staged")
    same(sorted(os.path.basename(x["inf"]) for x in doc["left_out"]), ["main.inf", "x.inf"],
         "left out")


def e2e_check_by_windows(world):
    """drivers check asks each Windows anew: models and catalogs are not those of another one."""
    top = world.path("top")
    os.mkdir(top)
    world.run([world.args.mkpkg, top + "/one"])
    shutil.copytree(top + "/one", top + "/two")
    doc = world.ibbake("drivers", "check", top, "--recurse", *world.anchor, "--json").json()
    same(len(doc["packages"]), 1, "an equal copy counts once")
    check(len(doc["packages"][0]["targets"]) > 10, "targets")
    world.ibbake("drivers", "check", top + "/one", top + "/one", *world.anchor)
    with open(top + "/two/ibbdemo.cat", "r+b") as f:
        f.truncate(100)
    r = world.ibbake("drivers", "check", top, "--recurse", *world.anchor, "--json", rc=255)
    check("two/ibbdemo.inf" in r.err, f"the damaged one is not named\n{r}")
    doc = json.loads(r.out)
    same([x["inf"] for x in doc["left_out"]], [top + "/two/ibbdemo.inf"], "left out")
    same(len(doc["packages"]), 1, "the other one")


def e2e_lock(world):
    """The first bake writes the lock file, later ones hold against it."""
    image, package, out = world.image(*SMALL), world.package(), world.path("out.vhd")
    lock = world.path("packages.lock")
    world.ibbake("plan", image.path, "--size", SIZE, "--drivers", package, "--lock", lock)
    check(not os.path.exists(lock), "a plan wrote the lock file")
    # that it cannot be written is learnt before the image is made
    try_bake(world, image, package, 100, "lock file and output", options=["--lock", out])
    try_bake(world, image, package, 255, "the lock file cannot be made there",
             options=["--lock", world.path("nowhere/packages.lock")])
    bake(world, image, package, out, "--lock", lock)
    with open(lock, encoding="utf-8") as f:
        doc = json.load(f)
    checked = world.ibbake("drivers", "check", package, *world.anchor, "--json").json()
    same([(p["inf"], p["sha256"]) for p in doc["packages"]],
         [("ibbdemo.inf", checked["packages"][0]["sha256"])], "lock file")
    bake(world, image, package, out, "--lock", lock, "--overwrite")
    other = world.package("--version", "2.0.0.0", name="other")
    try_bake(world, image, other, 100, "packages.lock", "locks another one",
             options=["--lock", lock], out="out2.vhd")
    alien = world.package("--inf", "alien.inf", "--service", "alien", name="alien")
    try_bake(world, image, alien, 100, "packages.lock", "does not know",
             options=["--lock", lock], out="out2.vhd")
    # a checksum is no part of what the catalog lists, but of what was locked
    path = os.path.join(package, "ibbdemo.sys")
    with open(path, "rb") as f:
        head = f.read(0x100)
    at = int.from_bytes(head[0x3c:0x40], "little") + 24 + 64
    patch(path, at, bytes([head[at] ^ 1]))
    bake(world, image, package, world.path("out3.vhd"))
    try_bake(world, image, package, 100, "packages.lock", "locks another one",
             options=["--lock", lock], out="out2.vhd")
    for text in ("", "{}", '{"schema": "ibbake-lock/1", "packages": [{"inf": "a.inf"}]}'):
        with open(lock, "w", encoding="utf-8") as f:
            f.write(text)
        try_bake(world, image, package, 255, "packages.lock", options=["--lock", lock],
                 out="out2.vhd")


def e2e_bad_anchor(world):
    image, package = world.image(*SMALL), world.package()
    bad = world.path("bad.pem")
    with open(bad, "w", encoding="utf-8") as f:
        f.write("no certificate\n")
    for option in ("--trust-anchor", "--crl"):
        try_bake(world, image, package, 255, "bad.pem", options=[option, bad])
        try_bake(world, image, package, 255, "missing.pem",
                 options=[option, world.path("missing.pem")])
    world.ibbake("bake", image.path, "--size", SIZE, "--drivers", package, "-o",
                 world.path("out.vhd"), "--allow=everything", rc=2)


# ---- real packages ----

def e2e_real_whql(world):
    """mlx5 without any help: WHQL, up to Microsoft's root of 2010, with the submission's id."""
    world.trust = False
    package = world.data("drivers/mlx5-24.4.26429")
    image, out = world.image(*SMALL, "--windows", "server2022"), world.path("out.vhd")
    r = bake(world, image, package, out)
    r.mentions("signature: whql")
    check(not any(x in r.out for x in ("TEST", "WEAKENED", "not certified", "SHA-1")),
          f"weakened\n{r}")
    doc = manifest(out)
    same(doc["signature"], "verified", "manifest")
    s = doc["packages"][0]["signature"]
    same((s["verdict"], s["loads"], s["digest"], s["members"]), ("whql", True, "sha256", 3), "mlx5")
    same(s["by"]["root"], "Microsoft Root Certificate Authority 2010", "root")
    same(s["by"]["signed_at"][:10], "2024-05-02", "signed")
    part = world.partition_file(image.at(out))
    drivers = Hive(read(world, part, f"{CONFIG}/DRIVERS"))
    key = f"DriverDatabase\\DriverPackages\\{doc['packages'][0]['package_name']}\\{SUBMISSION}"
    typ, data = drivers.values(key)[""]
    same((typ, data.decode("utf-16le").rstrip("\0")), (0xFFFF0012, s["submission_id"]),
         "submission id as import writes it")
    second_bake(world, image.at(out), package)
    r = bake(world, world.image(*SMALL, "--windows", "server2025", name="2025.vhd"), package,
             world.path("2025-out.vhd"))
    r.mentions("not certified for Server_v100_X64_24H2")


def e2e_real_attested(world):
    """Attestation is for clients: the same package, two product types."""
    world.trust = False
    package, out = world.data("drivers/wireguard-nt-attested"), world.path("out.vhd")
    server = world.image(*SMALL, "--windows", "server2022")
    world.refused(["drivers", "add", server.path, package, "-o", out], 100, "attested",
                  "mullvad-wireguard.inf", "client editions only")
    client = world.image(*SMALL, "--windows", "win10-19041", name="client.vhd")
    world.ibbake("drivers", "add", client.path, package, "-o", out)
    same(manifest(out)["packages"][0]["signature"]["verdict"], "attested", "verdict")


def e2e_real_cross_signed(world):
    world.trust = False
    package, out = world.data("drivers/wintun-0.7-cross-signed"), world.path("out.vhd")
    new = world.image(*SMALL, "--windows", "win10-19041")
    world.refused(["drivers", "add", new.path, package, "-o", out], 100, "cross-signed",
                  "2015-07-29")
    old = world.image(*SMALL, "--windows", "win8.1", name="old.vhd")
    world.ibbake("drivers", "add", old.path, package, "-o", out)
    same(manifest(out)["packages"][0]["signature"]["verdict"], "cross-signed", "verdict")


def e2e_real_tampered(world):
    """An INF that was edited after Microsoft signed it."""
    package = world.path("nvidia")
    shutil.copytree(world.data("drivers/tampered-nvidia-65.6.5"), package)
    image = world.image(*SMALL, "--windows", "win10-19041")
    world.refused(["drivers", "add", image.path, package, "-o", world.path("out.vhd"),
                   EVERYTHING], 100, "tampered", ".inf")


def e2e_real_check(world):
    """drivers check: the verdicts of every real package, by Windows."""
    world.trust = False

    def verdicts(rel, os_name, rc=0):
        doc = world.ibbake("drivers", "check", world.data("drivers/" + rel), "--os", os_name,
                           "--json", rc=rc).json()
        return sorted({(p["signature"]["verdict"], t["accepted"]) for p in doc["packages"]
                       for t in p["targets"]}), doc

    for rel in ("mlx5-24.4.26429", "broadcom-5720", "netkvm-100.94.104", "wintun-0.14",
                "extension-surfacecoverclick", "softwarecomponent-iastorhsa", "asix-win7-utf16",
                "vmci-9.8.18"):
        got, doc = verdicts(rel, "win10-2004" if rel != "mlx5-24.4.26429" else "server2022")
        same(got, [("whql", True)], rel)
        check(all(f["member"] for p in doc["packages"] for f in p["files"]), rel)
    got, doc = verdicts("pvscsi-1.3.28", "server2022")
    same(got, [("whql", True)], "pvscsi")
    _, doc = verdicts("netkvm-100.94.104", "win10-2004")
    check(any("not certified for _v100_X64_Vb" in w
              for w in doc["packages"][0]["signature"]["warnings"]), "netkvm below 22H2")
    _, doc = verdicts("netkvm-100.94.104", "win11-22h2")
    same(doc["packages"][0]["signature"]["warnings"], [], "netkvm on 22H2")
    _, doc = verdicts("asix-win7-utf16", "win10-2004")
    warnings = doc["packages"][0]["signature"]["warnings"]
    check(any("SHA-1" in w for w in warnings) and any("7X64" in w for w in warnings), warnings)
    same(verdicts("wireguard-nt-attested", "win10-2004")[0], [("attested", True)], "wireguard")
    same(verdicts("wireguard-nt-attested", "server2019", 100)[0], [("attested", False)], "server")
    same(verdicts("wintun-0.7-cross-signed", "win8.1")[0], [("cross-signed", True)], "6.3")
    same(verdicts("wintun-0.7-cross-signed", "server2016", 100)[0], [("cross-signed", False)],
         "14393")
    got, doc = verdicts("tampered-nvidia-65.6.5", "win10-2004", 100)
    same(got, [("tampered", False)], "nvidia")
    got, doc = verdicts("vmxnet3-inbox-1.8.17", "win10-2004", 100)
    same(got, [("unsigned", False)], "vmxnet3")
    # VBoxGuest.cat (the vendor's, expired) and vboxguest.cat (attested) in one directory
    vbox = "vboxguest-attested-and-cross-signed"
    got, doc = verdicts(vbox, "win10-2004")
    same(got, [("attested", True)], "vboxguest")
    check(any(w.startswith("vboxguest.cat was taken")
              for w in doc["packages"][0]["signature"]["warnings"]), "which one is not said")
    same(verdicts(vbox, "server2019", 100)[0], [("invalid", False)], "vboxguest on a server")
    same(verdicts(vbox, "win8.1", 100)[0], [("invalid", False)], "vboxguest on 6.3")
    r = world.ibbake("drivers", "check", world.data("drivers/mlx5-24.4.26429"))
    r.mentions("whql", "accepted Windows Server 2022", "digest")
    same(dig(doc, "schema"), "ibbake-check/1", "schema")
