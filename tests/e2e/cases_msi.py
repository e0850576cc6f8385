# SPDX-License-Identifier: GPL-3.0-or-later
"""InstallShield's program around an MSI around a cabinet around a package. The program is made to
the public description of its form: no vendor's was at hand."""
import os
import pathlib
import sys

from cases_bake import EPOCH, bake
from cases_unpack import SMALL, same_tree, unpack
from world import SIZE, Skip, check, content_digest, find_tool, same

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "unit"))
import msi_tools  # noqa: E402

HINT = ('extract it on any Windows: SETUP.exe /a /vMT_DRIVERS_ONLY=1 /v"/qb TARGETDIR=C:\\x", '
        "and give that directory to --drivers")


class Shop:
    """Makes installers of a directory."""
    def __init__(self, world):
        for tool in ("wixl", "msiinfo"):
            if not find_tool(tool):
                raise Skip(f"{tool} is not installed")
        self.world, self.top = world, pathlib.Path(world.dir)
        self.tool = os.path.join(os.path.dirname(world.args.mkpkg), "ibb-msi")
        check(os.path.exists(self.tool), f"{self.tool} was not built")
        msi_tools.TOP = self.top

    def msi(self, name, folder):
        return str(msi_tools.wixl(self, name, {"Acme": {"Drivers": msi_tools.tree_of(folder)}}))

    def program(self, form, name, **files):
        out = self.world.path(name)
        self.world.run([self.tool, "wrap", form, out, "6",
                        *(f"{k.replace('_', '.')}={v}" for k, v in files.items())])
        return out


DRIVERS = "ProgramFilesFolder/Acme/Drivers"


def e2e_msi_unpacked(world):
    """An MSI, and each form of the program around it."""
    shop, package = Shop(world), world.package()
    msi = shop.msi("Acme", package)
    out, doc = unpack(world, msi)
    same_tree(os.path.join(out, DRIVERS), package)
    same([(a["path"], a["kind"], a["unverified"]) for a in doc["archives"]],
         [(None, "MSI", None)], "archives")
    for form in ("old", "stream", "stream4"):
        exe = shop.program(form, f"setup-{form}.exe", Setup_INI=os.path.join(package, "ibbdemo.inf"),
                           Acme_msi=msi)
        out, doc = unpack(world, exe)
        same(sorted(os.listdir(out)), ["Acme.msi.d", "Setup.INI"], form)
        same_tree(os.path.join(out, "Acme.msi.d", DRIVERS), package)
        same([(a["path"], a["kind"], bool(a["unverified"])) for a in doc["archives"]],
             [(None, "InstallShield", True), ("Acme.msi", "MSI", False)], form)
        (p,) = doc["packages"]
        same((p["inf"], p["problem"]), (f"Acme.msi.d/{DRIVERS}/ibbdemo.inf", None), form)
        said = world.ibbake("drivers", "unpack", exe, "-o", world.fresh(".said"))
        check("no real file of it was at hand" in said.out + said.err, f"unverified\n{said}")


def e2e_msi_baked(world):
    """Baked from a setup program: the image is that of its directory."""
    shop, package, image = Shop(world), world.package(), world.image(*SMALL)
    exe = shop.program("stream", "setup.exe", Acme_msi=shop.msi("Acme", package))
    want, got = world.path("want.vhd"), world.path("got.vhd")
    bake(world, image, package, want, env=EPOCH)
    bake(world, image, exe, got, env=EPOCH)
    same(content_digest(got), content_digest(want), "image")
    with open(got + ".manifest.json", encoding="utf-8") as f:
        text = f.read()
    check(f"{exe}!/Acme.msi.d/{DRIVERS}" in text, text)
    world.ibbake("verify", got, "--manifest", got + ".manifest.json")


def e2e_msi_refused(world):
    """What cannot be read says what to do instead."""
    shop, image = Shop(world), world.image(*SMALL)
    isc = world.path("data1.cab")
    with open(isc, "wb") as f:
        f.write(b"ISc(" + bytes(100))
    exe = shop.program("stream", "setup.exe", data1_cab=isc)
    for args in (["drivers", "unpack", exe, "-o", world.path("x")],
                 ["bake", image.path, "--size", SIZE, "--drivers", exe, "-o",
                  world.path("x.vhd")]):
        world.refused(args, 100, "InstallShield's own cabinets", HINT)
    with open(exe, "rb") as f:
        data = f.read()
    cut = world.path("cut.exe")
    with open(cut, "wb") as f:
        f.write(data[:-50])
    world.refused(["drivers", "unpack", cut, "-o", world.path("x")], 255,
                  "a file goes on behind the end", HINT)
    msi = shop.msi("Acme", world.package())
    with open(msi, "rb") as f:
        data = f.read()
    with open(msi, "wb") as f:
        f.write(data[:len(data) // 2])
    world.refused(["drivers", "unpack", msi, "-o", world.path("x")], 255, "Acme.msi: ")


def e2e_msi_real_material(world):
    """The real mlx5 through all of it: the digest that its directory has."""
    shop, package = Shop(world), world.data("drivers/mlx5-24.4.26429")
    want = world.ibbake("drivers", "check", package, "--os", "server2022", "--json").json()
    exe = shop.program("stream4", "MLNX_WinOF2.exe", WinOF2_msi=shop.msi("mlx5", package))
    out, _ = unpack(world, exe)
    same_tree(os.path.join(out, "WinOF2.msi.d", DRIVERS), package)
    got = world.ibbake("drivers", "check", exe, "--os", "server2022", "--json").json()
    same(got["packages"][0]["sha256"], want["packages"][0]["sha256"], "digest")
