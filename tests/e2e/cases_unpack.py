# SPDX-License-Identifier: GPL-3.0-or-later
"""What vendors ship, packed by real tools: unpacked equal, baked equal, or refused without a trace."""
import filecmp
import io
import hashlib
import json
import os
import signal
import stat
import subprocess
import tarfile
import time
import zipfile

import wimworld as wims
from cases_bake import EPOCH, bake
from world import SIZE, Skip, check, content_digest, find_tool, same

SMALL = ("--size", "256MiB")


# ---- packing ----

def members(folder):
    found = []
    for top, dirs, files in os.walk(folder):
        dirs.sort()
        found += [os.path.relpath(os.path.join(top, f), folder) for f in sorted(files)]
    return found


def pack(world, folder, name):
    """An archive of the folder's content by the tool for its suffix; None: there is no tool."""
    out = world.path(name)
    tools = {".zip": ["zip", "-qr", out, "."],
             ".7z": ["7zz", "a", "-bd", "-bso0", out, "."],
             ".cab": ["gcab", "-c", "-z", out, *members(folder)],
             ".tar": ["tar", "-cf", out, "."],
             ".gz": ["tar", "-czf", out, "."],
             ".xz": ["tar", "-cJf", out, "."],
             ".bz2": ["tar", "-cjf", out, "."],
             ".zst": ["tar", "--zstd", "-cf", out, "."]}
    argv = tools[os.path.splitext(name)[1]]
    if not find_tool(argv[0]):
        world.notes.append(f"{argv[0]} is not installed: {name} not made")
        return None
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, env=world.env)
    if done.returncode and name.endswith((".zst", ".bz2", ".xz")):
        world.notes.append(f"{name} not made: {done.stderr.strip()}")
        return None
    same(done.returncode, 0, f"{argv}: {done.stderr}")
    return out


NAMES = ("p.zip", "p.7z", "p.cab", "p.tar", "p.tar.gz", "p.tar.xz", "p.tar.bz2", "p.tar.zst")


def same_tree(got, want):
    same(members(got), members(want), f"files of {got}")
    wrong = [m for m in members(want)
             if not filecmp.cmp(os.path.join(got, m), os.path.join(want, m), shallow=False)]
    same(wrong, [], f"files that differ in {got}")
    for top, dirs, files in os.walk(got):
        for n in dirs:
            same(stat.S_IMODE(os.lstat(os.path.join(top, n)).st_mode), 0o700, n)
        for n in files:
            st = os.lstat(os.path.join(top, n))
            check(stat.S_ISREG(st.st_mode), f"{n} is no file")
            same(stat.S_IMODE(st.st_mode), 0o600, n)


def unpack(world, archive, *options):
    out = world.fresh(".unpacked")
    doc = world.ibbake("drivers", "unpack", archive, "-o", out, "--json", *options).json()
    same(doc["directory"], out, "directory")
    left = [n for n in os.listdir(world.dir) if "ibbake-" in n]
    same(left, [], "left over")
    return out, doc


def program(world, package, archive):
    """A program (the package's driver) with an archive behind it."""
    out = archive + ".exe"
    with open(os.path.join(package, "ibbdemo.sys"), "rb") as f, open(archive, "rb") as g:
        data = f.read() + g.read()
    with open(out, "wb") as f:
        f.write(data)
    return out


# ---- cases ----

def e2e_unpack_every_format(world):
    package = world.package()
    os.mkdir(os.path.join(package, "Docs"))
    with open(os.path.join(package, "Docs", "Über €.txt"), "w", encoding="utf-8") as f:
        f.write("names of Windows are not ASCII")
    with open(os.path.join(package, "Docs", "MLX5ND.DLL"), "wb") as f:
        f.write(b"no library, but it has the name")
    kinds = {"p.zip": "zip", "p.7z": "7z", "p.cab": "cab"}
    for name in NAMES:
        archive = pack(world, package, name)
        if not archive:
            continue
        out, doc = unpack(world, archive)
        same_tree(out, package)
        same([(a["file"], a["path"], a["kind"], a["unverified"]) for a in doc["archives"]],
             [(archive, None, kinds.get(name, "tar"), None)], name)
        (p,) = doc["packages"]
        same((p["inf"], p["problem"], p["catalog"], p["catalog_present"]),
             ("ibbdemo.inf", None, "ibbdemo.cat", True), name)
        check("Windows Server 2022" in p["windows"], f"{p}")
        (c,) = doc["companions"]
        same((c["path"], c["role"], c["driver_set"], c["pinned"]),
             ("Docs/MLX5ND.DLL", "nd-provider", "winof2", "no"), name)
        same(doc["files"], len(members(package)), "files")
        same(doc["warnings"], [], name)


def e2e_unpack_programs_and_nests(world):
    package = world.package()
    for name in ("p.zip", "p.7z", "p.cab"):
        archive = pack(world, package, name)
        if not archive:
            continue
        exe = program(world, package, archive)
        out, doc = unpack(world, exe)
        same_tree(out, package)
        same(doc["archives"][0]["kind"], "self-extracting", name)
        folder = world.path(name + ".outer")
        os.makedirs(os.path.join(folder, "inner"))
        os.rename(exe, os.path.join(folder, "inner", "setup.exe"))
        outer = pack(world, folder, name + ".outer.zip")
        out, doc = unpack(world, outer)
        same(os.listdir(os.path.join(out, "inner")), ["setup.exe.d"], "the program is gone")
        same_tree(os.path.join(out, "inner", "setup.exe.d"), package)
        same([(a["path"], a["kind"]) for a in doc["archives"]],
             [(None, "zip"), ("inner/setup.exe", "self-extracting")], name)
    module = next((p for p in ("/usr/lib/7zip/7z.sfx", "/usr/lib/p7zip/7zCon.sfx")
                   if os.path.exists(p)), None)
    if not module:
        world.notes.append("no module for 7-Zip's self-extracting programs")


def e2e_unpack_several(world):
    package = world.package()
    a, b = pack(world, package, "p.zip"), pack(world, package, "p.tar.gz")
    out = world.path("out")
    os.mkdir(out)  # an empty directory will do
    r = world.ibbake("drivers", "unpack", a, b, "-o", out + "/", "--os", "server2022")
    for text in ("package   p.tar.gz.d/ibbdemo.inf\n", "package   p.zip.d/ibbdemo.inf\n",
                 "  for Windows Server 2022\n", "  catalog ibbdemo.cat: present\n",
                 f"written   {out}\n"):
        check(text in r.out, f"{text!r} is not said\n{r}")
    same_tree(os.path.join(out, "p.zip.d"), package)
    same_tree(os.path.join(out, "p.tar.gz.d"), package)
    world.refused(["drivers", "unpack", a, "-o", out], 100, f"{out} is not empty")
    world.refused(["drivers", "unpack", a, a, "-o", world.path("x")], 100,
                  "two files are called p.zip")
    world.refused(["drivers", "unpack", a, "-o", a], 100, "exists and is no directory")
    world.refused(["drivers", "unpack", a, "-o", world.path("x"), "--os", "server1999"], 2,
                  "server1999")


def zip_of(world, name, *entries):
    path = world.path(name)
    with zipfile.ZipFile(path, "w") as z:
        for entry, data in entries:
            z.writestr(entry, data)
    return path


def tar_of(world, name, *infos):
    path = world.path(name)
    with tarfile.open(path, "w:gz") as t:
        for info in infos:
            t.addfile(info, io.BytesIO(b"x" * info.size) if info.isreg() else None)
    return path


def link(name, to, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def plain(name):
    info = tarfile.TarInfo(name)
    info.size = 3
    return info


def hostile(world):
    """(archive, exit status, text)"""
    package = world.package(name="hostile-package")
    good = pack(world, package, "good.zip")
    cut = world.path("cut.zip")
    with open(good, "rb") as f, open(cut, "wb") as g:
        g.write(f.read()[:-40])
    text = world.path("text.zip")
    with open(text, "w", encoding="utf-8") as f:
        f.write("no archive at all")
    found = [
        (zip_of(world, "up.zip", ("../../up.inf", "x")), 100, "'..' are not names"),
        (zip_of(world, "abs.zip", ("/tmp/ibbake-evil.inf", "x")), 100, "an absolute path"),
        (zip_of(world, "drive.zip", ("C:/evil.inf", "x")), 100, "a path with a drive letter"),
        (zip_of(world, "nul.zip", ("d/nul.inf", "x")), 100, "a DOS device name"),
        (zip_of(world, "case.zip", ("A.inf", "x"), ("a.INF", "y")), 100, "two members"),
        (zip_of(world, "dir.zip", ("a", "x"), ("A/b", "y")), 100, "is a file and a directory"),
        (tar_of(world, "soft.tgz", link("l", "/tmp"), plain("l/evil")), 100, "'l' is a link"),
        (tar_of(world, "hard.tgz", plain("a"), link("h", "a", tarfile.LNKTYPE)), 100,
         "'h' is a link"),
        (cut, 255, "cut.zip: damaged or truncated"),
        (text, 100, "not an archive or installer that can be read"),
        (zip_of(world, "empty.zip"), 100, "without files"),
    ]
    for tool, name, argv in (("zip", "locked.zip", ["zip", "-qr", "-P", "secret"]),
                             ("7zz", "locked.7z", ["7zz", "a", "-bd", "-bso0", "-psecret"]),
                             ("7zz", "sealed.7z",
                              ["7zz", "a", "-bd", "-bso0", "-psecret", "-mhe=on"])):
        if find_tool(tool):
            out = world.path(name)
            subprocess.run([*argv, out, "."], cwd=package, check=True, capture_output=True,
                           env=world.env)
            found.append((out, 100, "encrypted"))
    return found


def e2e_unpack_refused(world):
    """In every place that takes an archive; nothing stays, neither here nor in TMPDIR."""
    image = world.image(*SMALL)
    temp = world.path("tmp")
    os.mkdir(temp)
    env = {"TMPDIR": temp}
    for archive, rc, text in hostile(world):
        world.refused(["drivers", "unpack", archive, "-o", world.path("out")], rc, text, env=env)
        if "not an archive" not in text:  # as a companion it is judged otherwise
            world.refused(["drivers", "check", archive], rc, text, env=env)
        world.refused(["drivers", "add", image.path, archive, "-o", world.path("o.vhd")], rc, text,
                      env=env)
    same(os.path.exists("/tmp/ibbake-evil.inf"), False, "an absolute path was followed")
    world.refused(["bake", image.path, "--size", SIZE, "--drivers", archive, "-o",
                   world.path("o.vhd")], rc, text, env=env)


def e2e_unpack_bombs(world):
    """A limit is a matter of bytes and seconds, not of what the archive says of itself."""
    temp = world.path("tmp")
    os.mkdir(temp)
    many = world.path("many.zip")
    with zipfile.ZipFile(many, "w") as z:
        for i in range(70000):
            z.writestr(f"{i}", b"")
    world.refused(["drivers", "unpack", many, "-o", world.path("out")], 255, "members",
                  env={"TMPDIR": temp})
    data = b"x"
    for i in range(8):  # zips in zips, without end
        b = io.BytesIO()
        with zipfile.ZipFile(b, "w") as z:
            z.writestr("again.zip", data)
            z.writestr(f"{i}", "not alone")
        data = b.getvalue()
    nest = world.path("nest.zip")
    with open(nest, "wb") as f:
        f.write(data)
    world.refused(["drivers", "unpack", nest, "-o", world.path("out")], 255,
                  "archives in archives more than 4 deep", env={"TMPDIR": temp})


def e2e_unpack_stopped(world):
    """SIGINT and SIGTERM in the midst of it: nothing stays."""
    big = world.path("big.zip")
    with zipfile.ZipFile(big, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z:
        with z.open("zeros.bin", "w", force_zip64=True) as f:
            for _ in range(3 << 9):
                f.write(bytes(1 << 20))
    for sig in (signal.SIGINT, signal.SIGTERM):
        for argv in (["drivers", "unpack", big, "-o", world.path("out")],
                     ["drivers", "check", big]):
            temp = world.fresh(".tmp")
            os.mkdir(temp)
            before = world.listing()
            p = subprocess.Popen([world.args.ibbake, *argv], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, env={**world.env,
                                                                         "TMPDIR": temp})
            until = time.monotonic() + 30
            while not any(n.endswith("zeros.bin") for n in world.listing() - before):
                check(time.monotonic() < until and p.poll() is None, "nothing was written")
                time.sleep(0.01)
            p.send_signal(sig)
            p.communicate(timeout=60)
            same(p.returncode, 128 + sig, " ".join(argv))
            same(sorted(world.listing() - before), [], f"left by {' '.join(argv)}")


def without_names(manifest, *names):
    text = json.dumps(manifest)
    for n in sorted(names, key=len, reverse=True):
        text = text.replace(json.dumps(n)[1:-1], "SOURCE")
    return json.loads(text)


def e2e_bake_from_an_archive(world):
    """The image is that of baking from the directory; the manifest names the archive."""
    image, package = world.image(*SMALL), world.package()
    temp = world.path("tmp")
    os.mkdir(temp)
    env = {**EPOCH, "TMPDIR": temp}
    want = world.path("want.vhd")
    bake(world, image, package, want, env=env)
    with open(want + ".manifest.json", encoding="utf-8") as f:
        plain_manifest = json.load(f)
    same(plain_manifest.pop("archives"), [], "archives of a directory")
    folder = world.path("vendor")
    os.mkdir(folder)
    subprocess.run(["cp", "-r", package, os.path.join(folder, "Drivers")], check=True)
    for name in ("p.zip", "p.7z", "p.cab", "p.tar.xz"):
        archive = pack(world, folder, name)
        if not archive:
            continue
        texts = []
        for _ in range(2):
            out = world.path("got.vhd")
            bake(world, image, archive, out, env=env)
            same(content_digest(out), content_digest(want), f"image baked from {name}")
            with open(out + ".manifest.json", encoding="utf-8") as f:
                texts.append(f.read())
            same(os.listdir(temp), [], "TMPDIR")
            world.ibbake("verify", out, "--manifest", out + ".manifest.json")
            os.unlink(out)
            os.unlink(out + ".manifest.json")
        same(texts[0], texts[1], "manifests of two bakes")
        check(f"{archive}!/Drivers" in texts[0], f"{archive}!/Drivers is not named in it")
        check(temp not in texts[0], "the private directory is named in it")
        manifest = json.loads(texts[0])
        with open(archive, "rb") as f:
            same(manifest.pop("archives"), [{
                "file": archive, "path": None, "kind": name.split(".")[1], "unverified": None,
                "sha256": hashlib.sha256(f.read()).hexdigest()}], f"archives of {name}")
        same(without_names(manifest, f"{archive}!/Drivers", "got.vhd"),
             without_names(plain_manifest, package, "want.vhd"), f"manifest of {name}")
        r = world.ibbake("plan", image.path, "--size", SIZE, "--drivers", archive, "--json",
                         env=env)
        check(f"{archive}!/Drivers" in r.out and temp not in r.out, "plan")
        world.refused(["bake", image.path, "--size", SIZE, "--drivers", archive, "-o", archive,
                       "--overwrite"], 100, "a file of a driver package")


def e2e_wim_from_an_archive(world):
    """Several images of a WIM, and their archive is taken apart once."""
    package = world.package()
    wim, _ = wims.build(world, "made.wim", (wims.SERVER, wims.CLIENT))
    archive = pack(world, package, "p.zip")
    out = world.path("out.wim")
    argv = ["bake", wim, *wims.sizes_options(), "--image", "all", "-o", out]
    want = world.ibbake(*argv, "--drivers", package, "--json", env=EPOCH).json()
    r = world.ibbake(*argv, "--overwrite", "--drivers", archive, "--json", "--progress=json",
                     env={**EPOCH, "TMPDIR": world.side})
    phases = [json.loads(line).get("phase") for line in r.err.splitlines() if line[:1] == "{"]
    same(phases.count("unpack"), 1, "times it was taken apart")
    same(phases.count("packages"), 2, "images")
    got = r.json()
    same([i["packages"][0]["directory"] for i in got["images"]], [archive + "!"] * 2, "names")
    same([i["packages"][0]["package_name"] for i in got["images"]],
         [i["packages"][0]["package_name"] for i in want["images"]], "packages")
    same([n for n in os.listdir(world.side) if n.startswith("ibbake-")], [], "TMPDIR")


def e2e_drivers_from_an_archive(world):
    """drivers add and check; what is said names the archive and the path in it."""
    image, package = world.image(*SMALL), world.package()
    archive = pack(world, package, "p.tar.gz")
    out = world.path("out.vhd")
    world.ibbake("drivers", "add", image.path, archive, "-o", out, env=EPOCH)
    doc = world.ibbake("drivers", "list", out, "--json").json()
    same([p["inf"] for p in doc["packages"] if not p["inbox"]], ["ibbdemo.inf"], "added")
    doc = world.ibbake("drivers", "check", archive, *world.anchor, "--json").json()
    same([p["directory"] for p in doc["packages"]], [archive + "!"], "checked")
    same([(a["file"], a["kind"]) for a in doc["archives"]], [(archive, "tar")], "archives")
    os.unlink(os.path.join(package, "ibbdemo.sys"))
    broken = pack(world, package, "broken.zip")
    world.refused(["drivers", "add", image.path, broken, "-o", world.path("x.vhd")], 100,
                  f"{broken}!", "ibbdemo.sys")
    world.refused(["drivers", "check", os.path.join(package, "ibbdemo.inf")], 2,
                  "name the directory of the package")


WXS = """<?xml version="1.0" encoding="windows-1252"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
<Product Id="*" Name="Demo" Language="1033" Version="1.0.0" Manufacturer="Demo"
 UpgradeCode="12345678-1234-1234-1234-111111111111" Codepage="1252">
<Package InstallerVersion="200" Compressed="yes"/>
<Media Id="1" Cabinet="Data1.cab" EmbedCab="{embed}"/>
<Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="D1" Name="Driver">{files}</Directory>
</Directory><Feature Id="F" Level="1">{refs}</Feature></Product></Wix>
"""


def msi_of(world, package, name, embed):
    """By wixl; with its cabinet beside it when that is not embedded."""
    if not find_tool("wixl"):
        raise Skip("wixl is not installed")
    folder = world.path(name)
    os.mkdir(folder)
    files, refs = "", ""
    for i, m in enumerate(members(package)):
        files += (f'<Component Id="C{i}" Guid="12345678-1234-1234-1234-{i:012d}">'
                  f'<File Id="F{i}" Name="{m}" DiskId="1" Source="{m}" KeyPath="yes"/>'
                  "</Component>")
        refs += f'<ComponentRef Id="C{i}"/>'
    wxs = world.fresh(".wxs")
    with open(wxs, "w", encoding="utf-8") as f:
        f.write(WXS.format(embed="yes" if embed else "no", files=files, refs=refs))
    out = os.path.join(folder, "Demo.msi")
    # relative paths only
    work = world.fresh(".work")
    subprocess.run(["cp", "-r", package, work], check=True)
    done = subprocess.run(["wixl", "-o", out, wxs], cwd=work, capture_output=True, text=True,
                          env=world.env)
    same(done.returncode, 0, done.stderr)
    if not embed:  # wixl leaves that cabinet to somebody else
        if not find_tool("gcab"):
            raise Skip("gcab is not installed")
        keys = [f"F{i}" for i in range(len(members(package)))]
        for key, m in zip(keys, members(package)):
            os.rename(os.path.join(work, m), os.path.join(work, key))
        subprocess.run(["gcab", "-c", "-z", os.path.join(folder, "Data1.cab"), *keys], cwd=work,
                       check=True, capture_output=True, env=world.env)
    return folder


def find_package(out):
    found = [top for top, _, files in os.walk(out) if "ibbdemo.inf" in files]
    same(len(found), 1, f"packages in {out}")
    return found[0]


def e2e_unpack_installers(world):
    """Program of InstallShield's form, MSI, cabinet in it or beside it, driver package."""
    image, package = world.image(*SMALL), world.package()
    env = {**EPOCH, "TMPDIR": world.side}
    want = world.path("want.vhd")
    bake(world, image, package, want, env=env)
    for embed in (True, False):
        folder = msi_of(world, package, f"msi{embed}", embed)
        msi = os.path.join(folder, "Demo.msi")
        out, doc = unpack(world, msi)
        same_tree(find_package(out), package)
        same([a["kind"] for a in doc["archives"]], ["MSI"], "archives")
        zipped = pack(world, folder, f"msi{embed}.zip")
        out, doc = unpack(world, zipped)
        same_tree(find_package(out), package)
        same([(a["path"], a["kind"]) for a in doc["archives"]],
             [(None, "zip"), ("Demo.msi", "MSI")], "archives")
        check(not os.path.exists(os.path.join(out, "Demo.msi")), "the MSI stayed")
        same(os.path.exists(os.path.join(out, "Data1.cab")), not embed, "the cabinet")
        exe = world.path(f"setup{embed}.exe")
        world.run([world.args.msi, "wrap", "stream", exe, "6",
                   *(f"+{m}={os.path.join(folder, m)}" for m in members(folder))])
        out, doc = unpack(world, exe)
        same_tree(find_package(out), package)
        same([(a["path"], a["kind"], a["unverified"] is None) for a in doc["archives"]],
             [(None, "InstallShield", False), ("Demo.msi", "MSI", True)], "archives")
        text = world.ibbake("drivers", "unpack", exe, "-o", world.fresh()).out
        check("  unverified: " in text, f"InstallShield is unverified:\n{text}")
        got = world.path("got.vhd")
        r = bake(world, image, exe, got, "--overwrite", env=env)
        check("was taken apart as InstallShield, unverified: " in r.out + r.err, f"{r}")
        same(content_digest(got), content_digest(want), f"baked from {exe}")
        with open(exe, "rb") as f:
            data = f.read()
        with open(exe, "wb") as f:
            f.write(data[:-len(data) // 3])
        world.refused(["drivers", "unpack", exe, "-o", world.path("x")], 255,
                      "/a /vMT_DRIVERS_ONLY=1")


def e2e_unpack_real_material(world):
    """The real mlx5, once per form: every byte, and the digest that its directory has."""
    package = world.data("drivers/mlx5-24.4.26429")
    want = world.ibbake("drivers", "check", package, "--os", "server2022", "--json").json()
    for name in NAMES:
        archive = pack(world, package, name)
        if not archive:
            continue
        out, doc = unpack(world, archive, "--os", "server2022")
        same_tree(out, package)
        same([(p["version"], p["windows"]) for p in doc["packages"]],
             [("24.4.26429.0", ["Windows Server 2022"])], name)
        got = world.ibbake("drivers", "check", archive, "--os", "server2022", "--json").json()
        same(got["packages"][0]["sha256"], want["packages"][0]["sha256"], name)
        subprocess.run(["rm", "-rf", out, archive], check=True)
