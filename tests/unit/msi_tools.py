#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""MSIs that wixl and msibuild make, unpacked by us and by msiextract: the same files.

msi_tools.py CASE --ibb-msi PROGRAM --mkpkg PROGRAM --data DIR
"""
import argparse
import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

WXS = """<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
<Product Name="Test" Id="*" UpgradeCode="12345678-1234-1234-1234-111111111111" Language="1033"
 Codepage="{codepage}" Version="1.0.0" Manufacturer="Acme">
<Package Id="*" Description="d" Manufacturer="Acme" InstallerVersion="200" Compressed="yes"
 SummaryCodepage="1252"/>
{media}
<Directory Id="TARGETDIR" Name="SourceDir">
<Directory Id="ProgramFilesFolder" Name="PFiles">
{dirs}
</Directory></Directory>
<Feature Id="Complete" Level="1">{refs}</Feature>
</Product></Wix>
"""
# What msiextract and we call the folder that the files are below.
THEIRS, OURS = "Program Files", "ProgramFilesFolder"


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            print(f"SKIPPED: no {tool}")
            sys.exit(77)


def run(*argv, cwd=None):
    done = subprocess.run([str(a) for a in argv], cwd=cwd, capture_output=True, text=True,
                          timeout=120, env={**os.environ, "LC_ALL": "C.UTF-8"})
    if done.returncode:
        sys.exit(f"{argv}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def digests(top):
    """Path below top -> digest."""
    return {p.relative_to(top).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(pathlib.Path(top).rglob("*")) if p.is_file()}


def same(what, got, want):
    if got != want:
        missing = {k: v for k, v in want.items() if got.get(k) != v}
        extra = {k: v for k, v in got.items() if want.get(k) != v}
        sys.exit(f"{what}: {len(got)} files, wanted {len(want)}:\n- {missing}\n+ {extra}")
    print(f"{what}: {len(got)} files as they should be")


class Job:
    def __init__(self, args, top):
        self.args, self.top, self.n = args, pathlib.Path(top), 0

    def unpack(self, path, want=0):
        self.n += 1
        out = self.top / f"out{self.n}"
        out.mkdir()
        done = subprocess.run([self.args.ibb_msi, "unpack", str(path), str(out)],
                              capture_output=True, text=True, timeout=120)
        if done.returncode != want:
            sys.exit(f"{path}: exit status {done.returncode}: {done.stdout}{done.stderr}")
        return out, done.stdout + done.stderr

    def theirs(self, msi):
        self.n += 1
        out = self.top / f"theirs{self.n}"
        run("msiextract", "-C", out, msi, cwd=pathlib.Path(msi).parent)
        return out


TOP = None  # the directory of the case: wixl takes relative paths only


def dirs_of(tree, ids, at=""):
    """The Directory elements of nested dicts; a leaf is the path of a file."""
    out = []
    for name, item in tree.items():
        path = f"{at}/{name}" if at else name
        ids.append(path)
        n = len(ids)
        if isinstance(item, dict):
            out.append(f'<Directory Id="D{n}" Name="{name}">'
                       + dirs_of(item, ids, path) + "</Directory>")
        else:
            out.append(f'<Component Id="C{n}" Guid="12345678-1234-1234-1234-{n:012d}">'
                       f'<File Id="F{n}" Name="{name}" DiskId="1" '
                       f'Source="{os.path.relpath(item, TOP)}" KeyPath="yes"/></Component>')
    return "\n".join(out)


def components(ids, tree):
    flat = []

    def walk(t, at):
        for name, item in t.items():
            path = f"{at}/{name}" if at else name
            if isinstance(item, dict):
                walk(item, path)
            else:
                flat.append(path)
    walk(tree, "")
    return [f'<ComponentRef Id="C{ids.index(p) + 1}"/>' for p in flat]


def wixl(job, name, tree, embed=True, codepage=1252):
    """One medium: wixl knows no more."""
    media = f'<Media Id="1" Cabinet="Data1.cab" EmbedCab="{"yes" if embed else "no"}"/>'
    ids = []
    dirs = dirs_of(tree, ids)
    wxs = job.top / f"{name}.wxs"
    wxs.write_text(WXS.format(codepage=codepage, media=media, dirs=dirs,
                              refs="".join(components(ids, tree))), encoding="utf-8")
    msi = job.top / f"{name}.msi"
    run("wixl", "-o", msi, wxs, cwd=job.top)
    return msi


def tree_of(top):
    """A directory as nested dicts."""
    return {p.name: tree_of(p) if p.is_dir() else str(p) for p in sorted(pathlib.Path(top).iterdir())}


def sources(job):
    src = job.top / "src"
    (src / "Acme Inc/net/amd64").mkdir(parents=True)
    (src / "Acme Inc/docs").mkdir()
    rnd = random.Random(8)
    for name, size in (("Acme Inc/net/x.inf", 900), ("Acme Inc/net/amd64/driver of acme.sys", 70000),
                       ("Acme Inc/net/x.cat", 5000), ("Acme Inc/docs/read me first.txt", 40),
                       ("Acme Inc/docs/empty.txt", 0), ("Acme Inc/a.b.c.dll", 33000)):
        (src / name).write_bytes(rnd.randbytes(size // 2) + bytes(size - size // 2))
    return src


def compare(job, msi, src, what):
    out, text = job.unpack(msi)
    if not text.startswith("MSI \n") or "warning" in text:
        sys.exit(f"{what}: {text}")
    same(what, digests(out / OURS), digests(src))
    theirs = {k.removeprefix(THEIRS + "/"): v for k, v in digests(job.theirs(msi)).items()}
    same(f"{what}, msiextract", digests(out / OURS), theirs)


def case_wixl(job):
    need("wixl", "msiextract")
    src = sources(job)
    compare(job, wixl(job, "one", tree_of(src)), src, "one cabinet inside")
    msi = wixl(job, "out", tree_of(src), embed=False)  # leaves the cabinet to somebody else
    with open(job.top / "DATA1.CAB", "wb") as f:
        subprocess.run(["msiinfo", "extract", job.top / "one.msi", "Data1.cab"], stdout=f,
                       check=True, timeout=60)
    out, _ = job.unpack(msi)
    same("a cabinet beside", digests(out / OURS), digests(src))
    (job.top / "DATA1.CAB").unlink()
    _, text = job.unpack(job.top / "out.msi", 100)
    if "it needs the file Data1.cab beside it" not in text:
        sys.exit(text)


def case_names(job):
    """Names that are not ASCII: in Western letters under code page 0, as wixl does it."""
    need("wixl", "msiextract")
    src = sources(job)
    for name in ("Größe.inf", "Ünï çödé.txt"):
        (src / "Acme Inc" / name).write_text(name)
    compare(job, wixl(job, "u", tree_of(src), codepage=65001), src, "other names")


def case_large(job):
    """More sectors than the header has room for, by another writer."""
    need("wixl", "msiextract")
    src = job.top / "src"
    (src / "Acme").mkdir(parents=True)
    (src / "Acme/big.bin").write_bytes(random.Random(1).randbytes(9 << 20))
    msi = wixl(job, "large", tree_of(src))
    if int.from_bytes(msi.read_bytes()[72:76], "little") == 0:
        sys.exit("no DIFAT: the file is too small")
    compare(job, msi, src, "a large MSI")


def case_msibuild(job):
    """Tables made by hand: short and long names, "." and target:source, gcab's cabinet. The
    summary that msibuild makes does not say that all is compressed; the files' attributes do."""
    need("msibuild", "gcab", "msiextract")
    src = job.top / "keys"
    src.mkdir()
    for key in ("kInf", "kSys", "kDll"):
        (src / key).write_text(f"content of {key}\n" * 100)
    run("gcab", "-c", "-z", job.top / "c.cab", "kInf", "kSys", cwd=src)
    run("gcab", "-c", job.top / "d.cab", "kDll", cwd=src)
    msi = job.top / "hand.msi"
    queries = [
        "CREATE TABLE `Directory` (`Directory` CHAR(72) NOT NULL, `Directory_Parent` CHAR(72), "
        "`DefaultDir` CHAR(255) NOT NULL LOCALIZABLE PRIMARY KEY `Directory`)",
        "CREATE TABLE `Component` (`Component` CHAR(72) NOT NULL, `ComponentId` CHAR(38), "
        "`Directory_` CHAR(72) NOT NULL, `Attributes` SHORT NOT NULL, `Condition` CHAR(255), "
        "`KeyPath` CHAR(72) PRIMARY KEY `Component`)",
        "CREATE TABLE `File` (`File` CHAR(72) NOT NULL, `Component_` CHAR(72) NOT NULL, "
        "`FileName` CHAR(255) NOT NULL LOCALIZABLE, `FileSize` LONG NOT NULL, `Version` CHAR(72), "
        "`Language` CHAR(20), `Attributes` SHORT, `Sequence` LONG NOT NULL PRIMARY KEY `File`)",
        "CREATE TABLE `Media` (`DiskId` SHORT NOT NULL, `LastSequence` LONG NOT NULL, "
        "`DiskPrompt` CHAR(64), `Cabinet` CHAR(255), `VolumeLabel` CHAR(32), `Source` CHAR(72) "
        "PRIMARY KEY `DiskId`)",
    ]
    rows = [("Directory", "`Directory`, `Directory_Parent`, `DefaultDir`", r) for r in (
        "'TARGETDIR', '', 'SourceDir'",
        "'ProgramFilesFolder', 'TARGETDIR', '.:PROGRA~1|program files'",
        "'dSame', 'ProgramFilesFolder', '.'", "'dAcme', 'dSame', 'ACMEDR~1|Acme Drivers:src'")]
    rows += [("Component", "`Component`, `Directory_`, `Attributes`", "'c', 'dAcme', 0")]
    size = (src / "kInf").stat().st_size
    rows += [("File", "`File`, `Component_`, `FileName`, `FileSize`, `Attributes`, `Sequence`", r)
             for r in (f"'kInf', 'c', 'LONGNA~1.INF|long name.inf', {size}, 16896, 1",
                       f"'kSys', 'c', 'x.sys', {size}, 16896, 2",
                       f"'kDll', 'c', 'x.dll', {size}, 16896, 3")]
    rows += [("Media", "`DiskId`, `LastSequence`, `Cabinet`", r)
             for r in ("1, 2, '#c.cab'", "2, 3, '#d.cab'")]
    queries += [f"INSERT INTO `{t}` ({c}) VALUES ({v})" for t, c, v in rows]
    run("msibuild", msi, "-s", "Hand made")
    run("msibuild", msi, "-q", *queries)
    for cab in ("c.cab", "d.cab"):
        run("msibuild", msi, "-a", cab, job.top / cab)
    out, _ = job.unpack(msi)
    same("msibuild", digests(out), {
        f"{OURS}/Acme Drivers/{n}": hashlib.sha256((src / k).read_bytes()).hexdigest()
        for k, n in (("kInf", "long name.inf"), ("kSys", "x.sys"), ("kDll", "x.dll"))})
    theirs = {pathlib.PurePath(k).name: v for k, v in digests(job.theirs(msi)).items()}
    same("msibuild, msiextract", {pathlib.PurePath(k).name: v for k, v in digests(out).items()},
         theirs)
    # the same names from components that exclude one another
    msi = job.top / "variants.msi"
    for old in ("INSERT INTO `Component`", "INSERT INTO `File`"):
        queries = [q for q in queries if not q.startswith(old)]
    queries += [f"INSERT INTO `Component` (`Component`, `Directory_`, `Attributes`, `Condition`) "
                f"VALUES ({v})" for v in ("'c10', 'dAcme', 0, 'VersionNT64 AND VersionNT >= 1000'",
                                          "'cOld', 'dAcme', 0, 'VersionNT < 1000'",
                                          "'cOldToo', 'dAcme', 0, 'VersionNT < 1000'")]
    queries += [f"INSERT INTO `File` (`File`, `Component_`, `FileName`, `FileSize`, `Attributes`, "
                f"`Sequence`) VALUES ({v})" for v in (
                    f"'kInf', 'c10', 'x.inf', {size}, 16896, 1",
                    f"'kSys', 'cOld', 'X.INF', {size}, 16896, 2",
                    f"'kDll', 'cOldToo', 'old.sys', {size}, 16896, 3")]
    run("msibuild", msi, "-s", "Hand made")
    run("msibuild", msi, "-q", *queries)
    for cab in ("c.cab", "d.cab"):
        run("msibuild", msi, "-a", cab, job.top / cab)
    out, text = job.unpack(msi)
    same("variants", digests(out), {
        f"{OURS}/{n}": hashlib.sha256((src / k).read_bytes()).hexdigest()
        for k, n in (("kInf", "Acme Drivers/x.inf"), ("kSys", "Acme Drivers.cOld/X.INF"),
                     ("kDll", "Acme Drivers.cOld/old.sys"))})
    if "on the condition VersionNT < 1000" not in text:
        sys.exit(text)


def wrapped(job, src, what):
    """A driver package in a cabinet in an MSI in InstallShield's program, every form of it."""
    msi = wixl(job, what, {"Acme": tree_of(src)})
    want = digests(src)
    ini = job.top / "Setup.INI"
    ini.write_text("[Startup]\n")
    for form, flags, plus in (("old", 6, ""), ("old", 2, "+"), ("stream", 6, "+"),
                              ("stream4", 6, "")):
        exe = job.top / f"{what}-{form}-{flags}.exe"
        run(job.args.ibb_msi, "wrap", form, exe, flags, f"+Setup.INI={ini}",
            f"{plus}Driver.msi={msi}")
        out, text = job.unpack(exe)
        if text != "InstallShield \nMSI Driver.msi\n":
            sys.exit(text)
        same(f"{what} in {form}", digests(out / "Driver.msi.d" / OURS / "Acme"), want)


def case_installshield(job):
    need("wixl")
    small = job.top / "small"
    run(job.args.mkpkg, small)
    if not list(small.rglob("*.inf")):
        sys.exit("ibb-mkpkg made no package")
    wrapped(job, small, "small")


def case_installshield_mlx5(job):
    need("wixl")
    real = pathlib.Path(os.environ.get("IBB_TEST_DATA") or job.args.data) / "drivers/mlx5-24.4.26429"
    if not real.is_dir():
        print("SKIPPED: no test data")
        sys.exit(77)
    wrapped(job, real, "mlx5")


def main():
    p = argparse.ArgumentParser()
    cases = {k.removeprefix("case_"): v for k, v in globals().items() if k.startswith("case_")}
    p.add_argument("case", choices=cases)
    p.add_argument("--ibb-msi", required=True)
    p.add_argument("--mkpkg", required=True)
    p.add_argument("--data", required=True)
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="ibb-msi-") as top:
        global TOP
        TOP = top
        cases[args.case](Job(args, top))


if __name__ == "__main__":
    main()
