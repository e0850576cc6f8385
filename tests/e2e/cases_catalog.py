# SPDX-License-Identifier: GPL-3.0-or-later
"""Driver catalogs: laid over each other, checked, imported."""
import hashlib
import json
import os
import shutil

from cases_input import SMALL
from world import SIZE, check, same

HEAD = {"format": 1, "overlay": True, "as_of": "2026-11-20"}
MLX5 = "drivers/mlx5-24.4.26429"
INFS = ("ibbdemo.inf", "ibbdemo.cat", "ibbdemo.sys")


def write(path, **lists):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump({**HEAD, **lists}, f)
    return path


def rows(doc, severity):
    return [(f["file"], f["path"], f["text"]) for f in doc["findings"] if f["severity"] == severity]


def pin(world, package):
    """An overlay whose release pins the files of a generated package."""
    files = []
    for name in INFS:
        with open(os.path.join(package, name), "rb") as f:
            data = f.read()
        files.append({"name": name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)})
    return write(world.path("pins/pins.json"), releases=[{
        "id": "demo", "driver_set": "winof2", "version": "1", "driver_version": "1.0.0",
        "date": None, "lts": False, "package": None, "package_name": None, "sha256": None,
        "windows": None, "windows_basis": "test", "files": files, "source": "azx",
        "confidence": "C"}])


def check_pins(world, pins, package, rc):
    r = world.ibbake("catalog", "check", pins, "--packages", package, *world.anchor, "--json", rc=rc,
                     env={"SOURCE_DATE_EPOCH": "1796000000"})
    return r.json()


def e2e_catalog_pins(world):
    """A pinned file that differs, or that its own security catalog does not know, is an error."""
    package = world.package("--version", "1.0.0.0")
    pins = pin(world, package)
    doc = check_pins(world, pins, package, 0)
    same((doc["packages"], doc["pinned_files"], rows(doc, "error"), rows(doc, "warning")),
         (1, 3, [], []), "sound package")
    changed = world.path("changed")
    shutil.copytree(package, changed)
    with open(os.path.join(changed, "ibbdemo.sys"), "ab") as f:
        f.write(b"x")
    doc = check_pins(world, pins, changed, 255)
    same(doc["pinned_files"], 2, "pinned files of the changed package")
    errors = rows(doc, "error")
    same([(f, p) for f, p, _ in errors], [(changed, "ibbdemo.sys")] * 2, "errors")
    check("release demo pins" in errors[0][2] and "not a member of its own security catalog"
          in errors[1][2], f"texts: {errors}")
    # no security catalog at all: as pinned, and yet nobody vouches
    bare = world.package("--version", "1.0.0.0", "--no-catalog", name="bare")
    doc = check_pins(world, pins, bare, 255)
    check("no security catalog vouches" in rows(doc, "error")[0][2], f"texts: {doc['findings']}")
    # another version is none of the catalog's
    other = world.package("--version", "1.0.1.0", name="other")
    doc = check_pins(world, pins, other, 0)
    same((doc["packages"], doc["pinned_files"]), (1, 0), "another version")
    os.mkdir(world.path("empty"))
    doc = check_pins(world, pins, world.path("empty"), 0)
    same([t for _, _, t in rows(doc, "warning")], ["no driver package in it"], "nothing found")


def e2e_catalog_unjudged(world):
    """What could not be judged is an error, once; so is a pin that nothing vouches for."""
    package = world.package("--version", "1.0.0.0")
    pins = pin(world, package)

    def broken(name, change):
        copy = world.path(name)
        shutil.copytree(package, copy)
        change(copy)
        doc = check_pins(world, pins, copy, 255)
        same((doc["packages"], doc["errors"], doc["warnings"]), (0, 1, 0), f"counts, {name}")
        f, _, text = rows(doc, "error")[0]
        same(f, os.path.join(copy, "ibbdemo.inf"), f"whose fault, {name}")
        return text

    def cut(copy):
        with open(os.path.join(copy, "ibbdemo.inf"), "r+b") as f:
            f.truncate(40)

    def fifo(copy):
        os.remove(os.path.join(copy, "ibbdemo.sys"))
        os.mkfifo(os.path.join(copy, "ibbdemo.sys"))

    check("ibbdemo.cat" in broken("nocat", lambda d: os.remove(os.path.join(d, "ibbdemo.cat"))),
          "a missing security catalog")
    check("ibbdemo.sys" in broken("nosys", lambda d: os.remove(os.path.join(d, "ibbdemo.sys"))),
          "a missing file")
    check("ibbdemo.sys" in broken("fifo", fifo), "a FIFO")
    broken("cut", cut)
    # beside the package: not there, another one, the very one
    with open(pins, encoding="utf-8") as f:
        doc = json.load(f)
    doc["releases"][0]["files"].append(
        {"name": "Demo.man", "sha256": hashlib.sha256(b"man").hexdigest(), "size": 3})
    with open(pins, "w", encoding="utf-8") as f:
        json.dump(doc, f)
    for content, pinned, texts in ((None, 3, ["but it is not there"]),
                                   (b"nam", 3, ["has the SHA-256", "no security catalog covers it"]),
                                   (b"man", 4, ["no security catalog covers it"])):
        if content:
            with open(os.path.join(package, "demo.MAN"), "wb") as f:
                f.write(content)
        doc = check_pins(world, pins, package, 255)
        same((doc["packages"], doc["pins"], doc["pinned_files"]), (1, 4, pinned), f"{content}")
        same(len(rows(doc, "error")), len(texts), f"errors, {content}")
        for (_, path, text), part in zip(rows(doc, "error"), texts):
            check(path == "Demo.man" and part in text, f"{content}: {path}: {text}")


def e2e_catalog_pins_mlx5(world):
    """The public copy of the one driver package that could be read lost its line ends."""
    real = os.path.dirname(world.data(MLX5 + "/mlx5.inf"))
    doc = world.ibbake("catalog", "check", "--packages", real, "--json").json()
    same((doc["packages"], doc["pins"], doc["pinned_files"], doc["errors"]), (1, 4, 4, 0),
         "the real package")
    copy = world.path("mlx5")
    shutil.copytree(real, copy, copy_function=shutil.copyfile)
    os.chmod(copy, 0o755)
    with open(os.path.join(copy, "mlx5.inf"), "rb") as f:
        text = f.read()
    with open(os.path.join(copy, "mlx5.inf"), "wb") as f:
        f.write(text.replace(b"\r\n", b"\n"))
    r = world.ibbake("catalog", "check", "--packages", copy, rc=255)
    r.mentions("release winof2-24.4 pins 0bc941acad1324d3272582a3e9a787df854f8ac276ac05c04b7244bb76c846af",
               "not a member of its own security catalog", "line ends restored to CRLF",
               "1 package, 3 of 4 pinned files as the catalog says", "2 errors in the driver catalog")


def e2e_catalog_dirs(world):
    """Overlays by name, paths from their own directory, conflicts told wherever they count."""
    image, package = world.image(*SMALL), world.package()
    write(world.path("over/10-local.json"), local=[
        {"driver_set": "winof2", "path": "../package", "sha256": None}])
    write(world.path("over/20-size.json"), sizes=[{"name": SIZE, "series": "HBv3", "note": "b"}])
    write(world.path("over/15-size.json"), sizes=[{"name": SIZE, "series": "HBv3", "note": "a"}])
    write(world.path("over/.hidden.json"), sizes=[{"name": "Standard_Hidden", "series": "HC"}])
    with open(world.path("over/notes.txt"), "w") as f:
        f.write("no catalog")
    how = ["--catalog-dir", world.path("over")]
    first = f"{world.path('over/15-size.json')}: sizes {SIZE} replaces that of built-in driver catalog"
    second = (f"{world.path('over/20-size.json')}: sizes {SIZE} replaces that of "
              f"{world.path('over/15-size.json')}: note differs")
    for argv in (["resolve", "--size", SIZE, "--os", "server2022"], ["sizes"],
                 ["fetch", "--size", SIZE, "--os", "server2022", "--dry-run", "--cache-dir",
                  world.path("cache")],
                 ["plan", image.path, "--size", SIZE],
                 ["drivers", "check", package, *world.anchor], ["catalog", "check"],
                 ["catalog", "show"]):
        r = world.ibbake(*argv, *how)
        r.mentions(first if argv[:2] != ["catalog", "check"] else "replaces that of built-in")
        check("Standard_Hidden" not in world.ibbake("sizes", *how).out, "a hidden file was read")
    out = world.path("out.vhd")
    r = world.ibbake("bake", image.path, "--size", SIZE, "-o", out, *how)
    r.mentions("staged as oem0.inf", second)
    with open(out + ".manifest.json", encoding="utf-8") as f:
        check(second in json.load(f)["warnings"], "the manifest does not tell of the conflict")
    os.mkdir(world.path("none"))
    world.refused(["sizes", "--catalog-dir", world.path("none")], 100, "no driver catalog in it")
    world.refused(["sizes", "--catalog-dir", world.path("gone")], 255, "No such file")
    world.refused(["sizes", "--catalog", world.path("over/15-size.json")], 100,
                  "is an overlay, which only adds to another catalog")


def e2e_catalog_secrets(world):
    """User names, passwords and queries of URLs are shown nowhere, and a catalog's are told of."""
    image, package, out = world.image(*SMALL), world.package(), world.path("out.vhd")
    over = write(world.path("cred.json"), releases=[{
        "id": "mine", "driver_set": "winof2", "version": "1", "driver_version": None, "date": None,
        "lts": False, "package": "drv.zip", "package_name": "seen", "sha256": None,
        "windows": None, "windows_basis": "test", "source": "azx", "confidence": "C",
        "urls": [{"url": "https://joe:s3cret@x.example/drv.zip?token=t0psecret", "basis": "seen",
                  "confidence": "C"}]}], recommendations=[{
                      "id": "mine", "driver_set": "winof2", "windows": {"only": "server2022"},
                      "release": "mine", "reason": "test", "source": "azx", "confidence": "C"}])
    how = ["--catalog-dir", over, "--size", SIZE]
    shown = "https://x.example/drv.zip?..."
    os.mkdir(world.path("empty"))
    runs = [world.ibbake("resolve", *how, "--os", "server2022", "--json"),
            world.ibbake("catalog", "show", "--catalog-dir", over),
            world.ibbake("plan", image.path, *how, "--drivers", world.path("empty"), rc=100),
            world.ibbake("catalog", "check", over)]
    for r in runs:
        check(shown in r.out + r.err, f"the URL is not shown: {r.out[-300:]} {r.err}")
    runs[3].mentions("mine: the URL https://x.example/drv.zip?... has a user name or password")
    runs.append(world.ibbake("bake", image.path, *how, "--drivers", package, *world.anchor, "-o", out))
    with open(out + ".manifest.json", encoding="utf-8") as f:
        manifest = f.read()
    check(shown in manifest and "s3cret" not in manifest and "t0psecret" not in manifest, "manifest")
    runs.append(world.ibbake("bundle", "create", *how, "--os", "server2022", "--drivers", package,
                             *world.anchor, "-o", world.path("c.ibbundle")))
    runs[-1].mentions("a URL of release mine in the catalog has a user name or password")
    for r in runs:
        check("s3cret" not in r.out + r.err and "t0psecret" not in r.out + r.err, "a secret is out")


def e2e_catalog_import(world):
    """An overlay appears whole or not at all, and is taken where it was made for."""
    given = world.path("resources.json")
    entry = {"Num": "All", "FwLink": "https://x.example/MLNX_WinOF2-99_1_5_All_x64.exe"}
    doc = {"Driver": [{"Name": "OFED", "Version": [{"Type": "CX6", "OS": [
        {"Name": "Windows", "Distro": [{"Name": "2022", "Version": [entry]}]}]}]}]}
    text = json.dumps(doc)
    with open(given, "w") as f:
        f.write(text.replace("}]}]}", "},]}]}", 1))
    out = world.path("over.json")
    r = world.ibbake("catalog", "import", given, "-o", out)
    r.mentions("a comma before a closing bracket was ignored", "1 entry used, 0 left out",
               "1 new release,", "use it with --catalog-dir")
    world.ibbake("catalog", "show", "--catalog-dir", out).mentions("99.1.5", "x.example")
    same(world.ibbake("catalog", "import", given).out, open(out).read(), "overlay on standard output")
    world.refused(["catalog", "import", given, "-o", out], 100, "exists")
    world.ibbake("catalog", "import", given, "-o", out, "--overwrite")
    with open(given, "w") as f:
        f.write(text[:-1])
    world.refused(["catalog", "import", given, "-o", world.path("no.json")], 255, "resources.json:1:")
    with open(given, "w") as f:
        f.write(text.replace("CX6", "CUDA"))
    world.refused(["catalog", "import", given, "-o", world.path("no.json")], 100,
                  "none of its 1 entries can be used")
    for argv in (["catalog"], ["catalog", "import"], ["catalog", "show", "x"], ["catalog", "fly"],
                 ["catalog", "check", "-o", "x"]):
        world.refused(argv, 2, "catalog")
