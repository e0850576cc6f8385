# SPDX-License-Identifier: GPL-3.0-or-later
"""Azure fitness: reported by every command that reads an image, enforced by --azure."""
import json
import os
import struct

from world import SIZE, Snapshot, check, same

SMALL = ("--size", "48MiB")
IDS = ["container", "alignment", "sector-size", "size", "generation", "os-state", "bitlocker",
       "page-file", "vm-agent"]
MIB, GIB = 1 << 20, 1 << 30


def azure_of(world, image, *options, rc=0):
    doc = world.ibbake("inspect", image.path, "--json", *options, rc=rc).json()
    same([c["id"] for c in doc["azure"]["checks"]], IDS, "the checks")
    same(doc["azure"]["of"], "image", "what is judged")
    return doc["azure"], {c["id"]: c for c in doc["azure"]["checks"]}


def states(checks, *but):
    """The checks that are not ok, with their states."""
    return {k: c["state"] for k, c in checks.items() if c["state"] != "ok" and k not in but}


def bake_args(world, image, package, *options):
    return ["bake", image.path, "--size", SIZE, "--drivers", package, "-o",
            world.path("out.vhd"), *options]


def resize_vhd(path, size):
    """Put the footer of a fixed VHD behind `size` bytes, as another tool would have written it."""
    with open(path, "r+b") as f:
        f.seek(-512, os.SEEK_END)
        old = f.tell()
        footer = bytearray(f.read(512))
        f.truncate(old)
        f.truncate(size)
        footer[40:56] = struct.pack(">QQ", size, size)
        footer[64:68] = bytes(4)
        footer[64:68] = struct.pack(">I", ~sum(footer) & 0xffffffff)
        f.seek(size)
        f.write(footer)


def patch(image, at, data):
    with open(image.path, "r+b") as f:
        f.seek(at)
        f.write(data)


def fit(world, table, generation, *found):
    image, package = world.image(*SMALL, "--table", table, "--agent"), world.package()
    source, out = Snapshot(image.path), world.path("out.vhd")
    azure, checks = azure_of(world, image, "--azure")
    same((azure["fit"], azure["enforced"], azure["generation"]), (True, True, generation), "azure")
    same(states(checks), {}, "checks that are not ok")
    for text in found:
        check(text in checks["generation"]["finding"], f"no {text!r}: {checks['generation']}")
    r = world.ibbake("inspect", image.path)
    check(r.out.splitlines()[0].endswith(f", generation {generation}"), f"first line\n{r}")
    check(f"azure    the image is fit, generation {generation}\n  ok       {', '.join(IDS)}\n"
          in r.out, f"the section\n{r}")
    check("source: Microsoft: Prepare a Windows VHD or VHDX to upload to Azure"
          in world.ibbake("inspect", image.path, "-v").out, "-v does not name the sources")
    plan = world.ibbake("plan", image.path, "--size", SIZE, "--drivers", package, "--azure",
                        "--json").json()
    same((plan["azure"]["of"], plan["azure"]["fit"]), ("output", True), "the plan's azure")
    r = world.ibbake(*bake_args(world, image, package, "--azure"))
    check(f"azure    the output is fit, generation {generation}\n" in r.out, f"bake\n{r}")
    with open(out + ".manifest.json", encoding="utf-8") as f:
        man = json.load(f)["azure"]
    same((man["of"], man["enforced"], man["fit"], man["generation"]),
         ("output", True, True, generation), "the manifest's azure")
    same(azure_of(world, image.at(out), "--azure")[0]["fit"], True, "the output itself")
    world.ibbake("verify", out, "--manifest", out + ".manifest.json")
    source.unchanged()


def e2e_azure_fit_generation2(world):
    fit(world, "gpt", "V2", "partition 1 (EFI system partition, FAT16)",
        "EFI/Microsoft/Boot/bootmgfw.efi and EFI/Microsoft/Boot/BCD")


def e2e_azure_fit_generation1(world):
    fit(world, "mbr", "V1", "partition 1 (active, NTFS) holds bootmgr and Boot/BCD")


def e2e_azure_fat32(world):
    """An EFI system partition as Windows Setup makes it."""
    image = world.image("--size", "1100MiB", "--agent", "--state", "specialized")
    azure, checks = azure_of(world, image)
    same((azure["fit"], azure["enforced"]), (True, False), "azure")
    check("FAT32" in checks["generation"]["finding"], f"{checks['generation']}")
    check("os-state specialized" in checks["os-state"]["finding"], f"{checks['os-state']}")


def e2e_azure_drivers(world):
    """drivers add and remove report and enforce like bake."""
    good, bad = world.image(*SMALL), world.image(*SMALL, "--no-boot-files", name="bad.vhd")
    package, out, gone = world.package(), world.path("out.vhd"), world.path("gone.vhd")
    doc = world.ibbake("drivers", "add", good.path, package, "-o", out, "--azure",
                       "--json").json()
    same((doc["azure"]["fit"], doc["azure"]["enforced"]), (True, True), "add")
    doc = world.ibbake("drivers", "remove", out, "oem0.inf", "-o", gone, "--json").json()
    same((doc["azure"]["fit"], doc["azure"]["enforced"]), (True, False), "remove")
    os.unlink(gone)
    world.refused(["drivers", "add", bad.path, package, "-o", gone, "--azure"], 100,
                  "bad.vhd: not fit for Azure (generation): generation: partition 1 (EFI system")


def e2e_azure_container(world):
    image = world.image(*SMALL, name="disk.img")
    azure, checks = azure_of(world, image)
    same((azure["fit"], states(checks)), (False, {"container": "failed", "vm-agent": "warning"}),
         "a raw disk")
    same(checks["container"]["finding"], "the image is a raw disk; Azure takes fixed VHD only",
         "the finding")
    world.refused(["inspect", image.path, "--azure"], 100,
                  "disk.img: not fit for Azure (container): container: the image is a raw disk",
                  "hint: container: make it a fixed VHD")
    azure, _ = azure_of(world, image, "--azure", rc=100)
    same(azure["enforced"], True, "the document of a refusal")


def e2e_azure_alignment(world):
    image = world.image(*SMALL, "--table", "mbr")
    resize_vhd(image.path, 48 * MIB + 1536)
    _, checks = azure_of(world, image)
    same(states(checks, "vm-agent"), {"alignment": "failed"}, "states")
    world.refused(["inspect", image.path, "--azure"], 100, "not fit for Azure (alignment)",
                  "the disk has 50333184 bytes, 1536 more than a whole number of MiB",
                  "grow it to a whole MiB")


def e2e_azure_sector_size(world):
    image = world.image(*SMALL, "--sector", "4096", name="disk.img")
    azure, checks = azure_of(world, image, "--azure", rc=100)
    same(azure["generation"], None, "generation of a disk that no VHD can hold")
    same(states(checks, "vm-agent"), {"container": "failed", "sector-size": "failed"}, "states")


def e2e_azure_size(world):
    """An MBR disk above 2 TiB cannot start in Azure; a GPT disk can."""
    image, package = world.image(*SMALL, "--table", "mbr"), world.package()
    resize_vhd(image.path, 2049 * GIB)
    azure, checks = azure_of(world, image)
    same((azure["generation"], states(checks, "vm-agent")), ("V1", {"size": "failed"}), "MBR")
    same(checks["size"]["finding"], "2049 GiB; an OS disk of generation 1 has at most 2048 GiB",
         "the finding")
    check("Prepare a Windows VHD or VHDX" in checks["size"]["source"], f"{checks['size']}")
    world.refused(bake_args(world, image, package, "--azure"), 100, "not fit for Azure (size)",
                  "2049 GiB; an OS disk of generation 1 has at most 2048 GiB", "mbr2gpt")
    image = world.image(*SMALL, name="gpt.vhd")
    resize_vhd(image.path, 2049 * GIB)
    same(states(azure_of(world, image)[1], "vm-agent"), {}, "GPT, 2049 GiB")
    resize_vhd(image.path, 4096 * GIB)
    same(states(azure_of(world, image)[1], "vm-agent"), {"size": "warning"}, "GPT, 4096 GiB")
    resize_vhd(image.path, 4097 * GIB)
    same(states(azure_of(world, image)[1], "vm-agent"), {"size": "failed"}, "GPT, 4097 GiB")


def generation_refused(world, image, package, *texts):
    azure, checks = azure_of(world, image)
    same((azure["fit"], azure["generation"]), (False, None), "azure")
    same(states(checks, "vm-agent"), {"generation": "failed"}, "states")
    for args in (bake_args(world, image, package, "--azure"),
                 ["bake", image.path, "--size", SIZE, "--drivers", package, "--dry-run", "--azure"],
                 ["plan", image.path, "--size", SIZE, "--drivers", package, "--azure"],
                 ["inspect", image.path, "--azure"]):
        world.refused(args, 100, "not fit for Azure (generation): generation: ", *texts)


def e2e_azure_boot_files_gpt(world):
    image, package = world.image(*SMALL, "--no-boot-files"), world.package()
    generation_refused(world, image, package, "partition 1 (EFI system partition) lacks "
                       "EFI/Microsoft/Boot/bootmgfw.efi", "bcdboot W:\\Windows /s S: /f UEFI")
    # without --azure it is said, not enforced
    r = world.ibbake(*bake_args(world, image, package))
    check("azure    the output is NOT fit\n  failed   generation: partition 1" in r.out, str(r))
    with open(world.path("out.vhd.manifest.json"), encoding="utf-8") as f:
        man = json.load(f)["azure"]
    same((man["fit"], man["enforced"], man["generation"]), (False, False, None), "the manifest")


def e2e_azure_boot_files_mbr(world):
    image, package = world.image(*SMALL, "--table", "mbr", "--no-boot-files"), world.package()
    generation_refused(world, image, package, "partition 1 (active) lacks bootmgr",
                       "bcdboot W:\\Windows /s S: /f BIOS")


def e2e_azure_boot_code(world):
    image, package = world.image(*SMALL, "--table", "mbr"), world.package()
    with open(image.path, "rb") as f:
        mbr = f.read(512)
    patch(image, 0, bytes(440))
    generation_refused(world, image, package, "the MBR holds no boot code", "bootsect /nt60")
    patch(image, 0, mbr[:446] + b"\0" + mbr[447:])
    generation_refused(world, image, package, "the MBR has no active partition")
    patch(image, 446, b"\x80")
    patch(image, 446 + 16, b"\x80")
    generation_refused(world, image, package, "the MBR has 2 active partitions")
    patch(image, 446 + 16, b"\0")
    patch(image, image.partition("system")["offset"] + 0x54, bytes(510 - 0x54))
    generation_refused(world, image, package, "the boot sector holds no boot code")


def e2e_azure_no_table(world):
    image, package = world.image(*SMALL, "--table", "none"), world.package()
    generation_refused(world, image, package, "no partition table: nothing starts from it")


def e2e_azure_damaged_system_partition(world):
    """What cannot be looked into is not vouched for."""
    image, package = world.image(*SMALL), world.package()
    patch(image, image.partition("esp")["offset"] + 13, b"\3")
    azure, checks = azure_of(world, image)
    same((azure["fit"], states(checks, "vm-agent")), (False, {"generation": "unknown"}), "azure")
    world.refused(bake_args(world, image, package, "--azure"), 100,
                  "not fit for Azure (generation)",
                  "partition 1: FAT boot sector: sectors per cluster (3)")
    world.ibbake(*bake_args(world, image, package))


def e2e_azure_encrypted_system_partition(world):
    """Which boot files it holds is not known then."""
    image = world.image(*SMALL, "--table", "mbr")
    patch(image, image.partition("system")["offset"] + 3, b"-FVE-FS-")
    azure, checks = azure_of(world, image)
    same(states(checks, "vm-agent"), {"generation": "unknown", "bitlocker": "failed"}, "states")
    same(azure["generation"], None, "generation")


def e2e_azure_bitlocker(world):
    """Not only the Windows partition counts."""
    image, package = world.image("--size", "64MiB", "--recovery"), world.package()
    p = image.partition("recovery")
    patch(image, p["offset"] + 3, b"-FVE-FS-")
    _, checks = azure_of(world, image)
    same(states(checks, "vm-agent"), {"bitlocker": "failed"}, "states")
    same(checks["bitlocker"]["finding"], f"encrypted with BitLocker: partition {p['number']}",
         "the finding")
    world.refused(bake_args(world, image, package, "--azure"), 100,
                  "not fit for Azure (bitlocker)", "partition " + str(p["number"]), "manage-bde")


def e2e_azure_page_file(world):
    for lines, state, text in (
            ([], "ok", "not set"),
            (["?:\\pagefile.sys"], "ok", "?:\\pagefile.sys"),
            (["D:\\pagefile.sys 0 0"], "ok", "D:\\pagefile.sys"),
            (["C:\\pagefile.sys 0 0", "E:\\pagefile.sys 0 0"], "warning", "'E:\\pagefile.sys")):
        options = [x for line in lines for x in ("--paging-file", line)]
        image = world.image(*SMALL, *options, name=f"{len(lines)}{text[0].strip('?')}.vhd")
        _, checks = azure_of(world, image, "--azure")
        same(checks["page-file"]["state"], state, f"{lines}")
        check(text in checks["page-file"]["finding"], f"{checks['page-file']}")
    r = world.ibbake("inspect", image.path, "--azure")
    check("  warning  page-file: PagingFiles names 'E:\\pagefile.sys 0 0': a drive other than C: "
          "or D:\n           put it on D:" in r.out, str(r))


def e2e_azure_agent(world):
    _, checks = azure_of(world, world.image(*SMALL), "--azure")
    same((checks["vm-agent"]["state"], checks["vm-agent"]["finding"]),
         ("warning", "there is no service WindowsAzureGuestAgent"), "without")
    _, checks = azure_of(world, world.image(*SMALL, "--agent", name="agent.vhd"), "--azure")
    same(checks["vm-agent"]["state"], "ok", "with")
    check("WindowsAzure/GuestAgent_" in checks["vm-agent"]["finding"], f"{checks['vm-agent']}")


def e2e_azure_many_at_once(world):
    """Every check in the way is named, also when there are many."""
    image = world.image(*SMALL, "--sector", "4096", "--no-boot-files", name="disk.img")
    world.refused(["inspect", image.path, "--azure"], 100,
                  "not fit for Azure (container, sector-size, generation): container: ",
                  "; sector-size: ", "; generation: ", "hint: container: ", "bcdboot")


def e2e_azure_no_windows(world):
    """Without a Windows the document still says what the disk is."""
    image = world.image(*SMALL, "--no-windows")
    azure, checks = azure_of(world, image, rc=100)
    same(states(checks), {"os-state": "not-applicable", "page-file": "not-applicable",
                          "vm-agent": "not-applicable"}, "states")
    same((azure["fit"], azure["generation"]), (True, "V2"), "azure")


def e2e_azure_output_format(world):
    """A bake is judged by what it writes, whatever it reads."""
    image, package = world.image(*SMALL, "--agent", "--table", "mbr", name="disk.img"), world.package()
    with open(image.path, "r+b") as f:
        f.truncate(48 * MIB + 1536)
    _, checks = azure_of(world, image)
    same(states(checks), {"container": "failed", "alignment": "failed"}, "the image")
    for fmt, name in (("vhd-dynamic", "dynamic VHD"), ("vhdx", "VHDX"), ("raw", "raw disk")):
        out = world.path({"vhd-dynamic": "o.vhd", "vhdx": "o.vhdx", "raw": "o.img"}[fmt])
        world.refused(["bake", image.path, "--size", SIZE, "--drivers", package, "-o", out,
                       "--format", fmt, "--azure"], 100, "not fit for Azure (container",
                      f"the output will be a {name}; Azure takes fixed VHD only")
    doc = world.ibbake(*bake_args(world, image, package, "--azure", "--json")).json()
    same((doc["azure"]["fit"], doc["azure"]["of"]), (True, "output"), "azure")
    alignment = [c for c in doc["azure"]["checks"] if c["id"] == "alignment"][0]
    same(alignment["finding"], "49 MiB, a whole number", "alignment")
    same(azure_of(world, image.at(world.path("out.vhd")), "--azure")[0]["fit"], True, "the output")


def e2e_azure_convert(world):
    """A conversion is held to the same, with a Windows or without."""
    good = world.image(*SMALL, name="good.img")
    world.ibbake("convert", good.path, "-o", world.path("good.vhd"), "--azure")
    same(azure_of(world, good.at(world.path("good.vhd")), "--azure")[0]["fit"], True, "the output")
    world.refused(["convert", good.path, "-o", world.path("good.vhdx"), "--format", "vhdx",
                   "--azure"], 100, "not fit for Azure (container)", "will be a VHDX")
    bad = world.image(*SMALL, "--no-boot-files", name="bad.img")
    world.refused(["convert", bad.path, "-o", world.path("bad.vhd"), "--azure"], 100,
                  "bad.img: not fit for Azure (generation)")
    world.ibbake("convert", bad.path, "-o", world.path("bad.vhd"))
    data = world.image(*SMALL, "--no-windows", name="data.img")
    world.ibbake("convert", data.path, "-o", world.path("data.vhd"), "--azure")
    broken = world.image(*SMALL, "--dirty-volume", name="broken.img")
    world.refused(["convert", broken.path, "-o", world.path("broken.vhd"), "--azure"], 100,
                  "broken.img: not fit for Azure (os-state, page-file, vm-agent)",
                  "the SYSTEM hive could not be looked at")
