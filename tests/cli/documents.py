#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every JSON document that ibbake prints keeps its schema: all commands, on images of many states.

The other way round as well: every property that a schema declares is seen in some document, so
that a schema cannot promise what the tool no longer prints.
"""
import argparse
import copy
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

try:
    import jsonschema
except ImportError:
    print("SKIPPED: python3-jsonschema is missing")
    sys.exit(77)

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
from hostile_http import Server, answer, good  # noqa: E402
from vhdchild import differencing_vhd  # noqa: E402

NAMES = ("sizes", "resolve", "inspect", "plan", "manifest", "verify", "drivers", "events", "check",
         "lock", "convert", "recover", "wim-inspect", "wim-plan", "wim-manifest", "wim-verify",
         "wim-drivers", "catalog-check", "catalog-import", "catalog-show", "unpack", "bundle",
         "bundle-check", "fetch", "cache")
SIZE = "Standard_HB120rs_v3"
IB_ID = r"PCI\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00"


class Schemas:
    def __init__(self, folder):
        self.docs, self.seen, self.faults = {}, set(), []
        for name in NAMES:
            with open(os.path.join(folder, name + ".schema.json"), encoding="utf-8") as f:
                self.docs[name] = json.load(f)
            jsonschema.Draft202012Validator.check_schema(self.docs[name])
        self.validators = {n: jsonschema.Draft202012Validator(d) for n, d in self.docs.items()}

    def fault(self, text):
        self.faults.append(text)

    # ---- the schemas themselves ----

    def check_form(self):
        shared = {}
        for name, doc in self.docs.items():
            # A relative $id would break "#/..." references; .invalid never resolves (RFC 2606).
            if doc["$id"] != f"https://ibbake.invalid/ibbake-{name}/1":
                self.fault(f"{name}: $id is {doc['$id']}")
            if name != "events" and doc["properties"]["schema"]["const"] != f"ibbake-{name}/1":
                self.fault(f"{name}: the schema member does not match its $id")
            self.check_node(name, doc)
            for key, definition in doc.get("$defs", {}).items():
                if shared.setdefault(key, definition) != definition:
                    self.fault(f"{name}: $defs/{key} is not as in the other schemas")
                doc["$defs"][key] = shared[key]  # seen in one document is seen in all

    def check_node(self, where, node):
        if isinstance(node, list):
            for i, item in enumerate(node):
                self.check_node(f"{where}[{i}]", item)
        if not isinstance(node, dict):
            return
        if node.get("type") == "object" and node.get("additionalProperties") is not False:
            self.fault(f"{where}: additional properties are not forbidden")
        for prop, sub in node.get("properties", {}).items():
            if not re.fullmatch(r"[A-Z0-9].*[^.]\.", sub.get("description", "")):
                self.fault(f"{where}: '{prop}' is not described in a sentence")
        for key, sub in node.items():
            if key not in ("enum", "const", "required"):
                self.check_node(f"{where}/{key}", sub)

    # ---- documents ----

    def check(self, name, doc, what):
        errors = sorted(self.validators[name].iter_errors(doc), key=lambda e: list(map(str, e.path)))
        for e in errors[:5]:
            deep = min(e.context, key=lambda c: len(c.message), default=e)
            self.fault(f"{what}: {name}: /{'/'.join(map(str, e.absolute_path))}: "
                       f"{deep.message[:300]}")
        if not errors:
            self.mark(name, self.docs[name], doc)

    def resolve(self, name, schema):
        while "$ref" in schema:
            schema = self.docs[name]["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        return schema

    def fits(self, name, schema, value):
        return self.validators[name].evolve(schema=schema).is_valid(value)

    def mark(self, name, schema, value):
        """Remember which properties the document has."""
        schema = self.resolve(name, schema)
        if "oneOf" in schema:
            branches = [s for s in schema["oneOf"] if self.fits(name, s, value)]
            assert len(branches) == 1
            self.mark(name, branches[0], value)
        elif isinstance(value, dict):
            for key, sub in value.items():
                self.seen.add((id(schema), key))
                self.mark(name, schema["properties"][key], sub)
        elif isinstance(value, list):
            for item in value:
                self.mark(name, schema["items"], item)

    def check_seen(self):
        for name, doc in self.docs.items():
            self.check_seen_node(name, name, doc)

    def check_seen_node(self, name, where, node):
        if isinstance(node, list):
            for i, item in enumerate(node):
                self.check_seen_node(name, f"{where}[{i}]", item)
        if not isinstance(node, dict):
            return
        for prop in node.get("properties", {}):
            if (id(node), prop) not in self.seen:
                self.fault(f"{where}: no document had '{prop}'")
        for key, sub in node.items():
            if key not in ("enum", "const", "required"):
                self.check_seen_node(name, f"{where}/{key}", sub)

    def check_refuses(self, name, doc):
        """The schema tells a damaged document from a good one."""
        def spoilt(change):
            d = copy.deepcopy(doc)
            change(d)
            return not self.validators[name].is_valid(d)

        # of several lists one is needed, and there may be one only
        one_of = [k for x in self.docs[name].get("anyOf", []) for k in x["required"] if k in doc]
        for key in doc:
            required = key in self.docs[name]["required"] or one_of == [key]
            if spoilt(lambda d, k=key: d.pop(k)) != required:
                self.fault(f"{name}: a document without '{key}' is "
                           f"{'let through' if required else 'refused'}")
            if not isinstance(doc[key], (int, bool)) and not spoilt(
                    lambda d, k=key: d.update({k: 4711})):
                self.fault(f"{name}: a number for '{key}' is let through")
        if not spoilt(lambda d: d.update(remark="x")):
            self.fault(f"{name}: an unknown property is let through")
        if not spoilt(lambda d: d.update(schema=f"ibbake-{name}/2")):
            self.fault(f"{name}: another version is let through")


class Unexpected(Exception):
    pass


class Runs:
    def __init__(self, args, schemas):
        self.args, self.schemas = args, schemas
        self.dir = tempfile.mkdtemp(prefix="ibbake-documents-")
        self.env = {k: v for k, v in os.environ.items() if k != "IBBAKE_CATALOG"}
        self.env.update(SOURCE_DATE_EPOCH="1790000000", LC_ALL="C.UTF-8")
        self.phases, self.n = set(), 0

    def path(self, name):
        return os.path.join(self.dir, name)

    def tool(self, argv):
        done = subprocess.run(argv, capture_output=True, text=True, env=self.env)
        if done.returncode:
            sys.exit(f"{' '.join(argv)}\n{done.stderr}")

    def image(self, name, *options):
        self.tool([self.args.mkimage, self.path(name), "--size", "48MiB", *options])
        return self.path(name)

    def package(self, name, *options):
        self.tool([self.args.mkpkg, *options, self.path(name)])
        return self.path(name)

    def trusting(self, argv):
        """Generated packages are signed by a test root."""
        if (argv[0] not in ("plan", "bake")
                and tuple(argv[:2]) not in (("drivers", "add"), ("drivers", "check"),
                                           ("bundle", "create"))):
            return argv
        root = self.path("root.pem")
        if not os.path.exists(root):
            self.tool([self.args.mkpkg, "--root", root, self.path("root-package")])
        return (argv[0], "--trust-anchor", root, *argv[1:])

    def ibbake(self, *argv, rc=0, document=True):
        """Run with --json: one document of the command's schema, or none at all."""
        name = {"bake": "manifest"}.get(argv[0], argv[0])
        if argv[:2] in (("drivers", "add"), ("drivers", "remove")):
            name = "manifest"
        if argv[:2] in (("drivers", "check"), ("drivers", "unpack")):
            name = argv[1]
        if argv[0] == "catalog":
            name = "catalog-" + argv[1]
        if argv[0] == "bundle":
            name = "bundle-check"
        if any(a.endswith(".wim") for a in argv[1:3]):
            name = "wim-" + name
        what = " ".join(os.path.basename(a) for a in argv)
        done = subprocess.run([self.args.ibbake, *self.trusting(argv), "--json"], capture_output=True, text=True,
                              env=self.env)
        self.n += 1
        if done.returncode not in (rc if isinstance(rc, tuple) else (rc,)):
            raise Unexpected(f"{what}: exit status {done.returncode}, not {rc}: {done.stderr}")
        if not document:
            if done.stdout:
                self.schemas.fault(f"{what}: prints a document: {done.stdout[:200]}")
            return done
        doc = json.loads(done.stdout)
        self.schemas.check(name, doc, what)
        return doc

    def events(self, *argv, rc=0, code=None):
        """Run with --progress=json: stderr is one event a line, an error comes last and alone."""
        what = " ".join(os.path.basename(a) for a in argv)
        done = subprocess.run([self.args.ibbake, argv[0], "--progress=json",
                               *self.trusting(argv)[1:]],
                              capture_output=True, text=True, env=self.env)
        self.n += 1
        if done.returncode != rc:
            self.schemas.fault(f"{what}: exit status {done.returncode}, not {rc}: {done.stderr}")
        errors = []
        for line in done.stderr.splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                self.schemas.fault(f"{what}: stderr has a line that is no event: {line}")
                continue
            self.schemas.check("events", event, what)
            self.phases.add(event.get("phase"))
            errors.append(event.get("error"))
        got = [e for e in errors if e]
        if code and (len(got) != 1 or got[0]["code"] != code or not errors[-1]):
            self.schemas.fault(f"{what}: the errors are {got}, want one '{code}' at the end")
        if code and got and got[0]["exit_status"] != rc:
            self.schemas.fault(f"{what}: the event says exit status {got[0]['exit_status']}")
        if not code and got:
            self.schemas.fault(f"{what}: succeeded with an error: {got}")


def want(schemas, what, got, expected):
    if got != expected:
        schemas.fault(f"{what}: got {got!r}, want {expected!r}")


def catalog_documents(r):
    sizes = r.ibbake("sizes")
    r.schemas.check_refuses("sizes", sizes)
    names = [z["name"] for z in sizes["sizes"]]
    states = set()
    for system in ("server2022", "server2012r2", "win11-23h2", "win8", "22631"):
        for i in range(0, len(names), 40):
            argv = [x for n in names[i:i + 40] for x in ("--size", n)]
            doc = r.ibbake("resolve", "--os", system, *argv, rc=(0, 100))
            states |= {x["state"] for x in doc["resolutions"]}
    want(r.schemas, "states of resolutions", states,
         {"validated", "allowed", "unsupported", "impossible"})
    doc = r.ibbake("resolve", "--os", "server2022", "--size", SIZE)
    r.schemas.check_refuses("resolve", doc)
    r.ibbake("resolve", "--os", "win7", "--size", SIZE, rc=100)
    r.ibbake("resolve", "--os", "win7", "--size", SIZE, "--allow-unsupported")
    r.ibbake("resolve", "--os", "server2022", "--size", "Standard_D2s_v3", rc=100, document=False)
    r.ibbake("resolve", "--os", "beos", "--size", SIZE, rc=2, document=False)


LIST = """{"Driver": [{"Name": "OFED", "Version": [{"Type": "CX6", "OS": [
 {"Name": "Linux", "Distro": [{"Name": "Ubuntu", "Version": [{"Num": "20.04", "FwLink": "http://x.example/a.tgz"}]}]},
 {"Name": "Windows", "Comment": "new", "Distro": [{"Name": "2022/11", "Version": [
  {"Num": "All", "FwLink": "https://x.example/MLNX_WinOF2-9_9_9_All_x64.exe"},]}]}]}]}]}"""


def catalogs(r):
    """What catalogs hold, whether they are sound, and what an import makes."""
    doc = r.ibbake("catalog", "show")
    r.schemas.check_refuses("catalog-show", doc)
    want(r.schemas, "catalogs", [c["file"] for c in doc["catalogs"]], ["built-in driver catalog"])
    doc = r.ibbake("catalog", "check")
    r.schemas.check_refuses("catalog-check", doc)
    # the clock of the tests stands before the catalog's date
    want(r.schemas, "findings of the built-in catalog", [f["path"] for f in doc["findings"]], ["as_of"])
    os.mkdir(r.path("overlays"))
    given, overlay = r.path("resources.json"), r.path("overlays/over.json")
    with open(given, "w", encoding="utf-8") as f:
        f.write(LIST)
    doc = r.ibbake("catalog", "import", given, "-o", overlay)
    r.schemas.check_refuses("catalog-import", doc)
    want(r.schemas, "import", (doc["used"], doc["left_out"], doc["releases"], len(doc["repairs"])),
         (1, 1, 1, 1))
    r.ibbake("catalog", "import", given, "-o", overlay, rc=100, document=False)
    doc = r.ibbake("catalog", "import", given)
    with open(overlay, encoding="utf-8") as f:
        want(r.schemas, "overlay without a file", doc["overlay"], f.read())
    with open(given, "w", encoding="utf-8") as f:
        f.write(LIST.replace("CX6", "CUDA"))
    want(r.schemas, "nothing used", r.ibbake("catalog", "import", given, rc=100)["used"], 0)
    with open(given, "w", encoding="utf-8") as f:
        f.write(LIST[:-4])
    r.ibbake("catalog", "import", given, rc=255, document=False)
    r.ibbake("catalog", "show", "--catalog-dir", overlay)
    with open(r.path("overlays/retired.json"), "w", encoding="utf-8") as f:
        json.dump({"format": 1, "overlay": True, "as_of": "2026-11-20", "sizes": [
            {"name": SIZE, "series": "HBv3", "note": "ours"}]}, f)
    how = ("--catalog-dir", os.path.dirname(overlay))
    conflict = (f"{r.path('overlays/retired.json')}: sizes {SIZE} replaces that of built-in driver catalog: "
                "note differs")
    for doc in (r.ibbake("catalog", "show", *how), r.ibbake("resolve", "--os", "server2022", "--size",
                                                            SIZE, *how)):
        want(r.schemas, "conflicts", doc["warnings"], [conflict])
    doc = r.ibbake("catalog", "check", *how)
    want(r.schemas, "severities", [f["severity"] for f in doc["findings"] if f["path"] != "as_of"],
         ["warning"])
    with open(r.path("overlays/retired.json"), "w", encoding="utf-8") as f:
        json.dump({"format": 1, "overlay": True, "as_of": "2026-11-20", "sizes": [
            {"name": "Standard_A", "series": "no"}, {"name": "Standard_B", "series": "HC", "x": 1}]}, f)
    doc = r.ibbake("catalog", "check", r.path("overlays/retired.json"), rc=255)
    want(r.schemas, "faults", [(f["path"], f["text"]) for f in doc["findings"]],
         [("sizes[0].series", "no series named 'no'"), ("sizes[1]", "unknown member 'x'")])


def main_line(r, package):
    """Plan, bake, verify; again; and over it a newer package."""
    image, out = r.image("base.vhd", "--oem", "1"), r.path("out.vhd")
    r.schemas.check_refuses("inspect", r.ibbake("inspect", image))
    plan = r.ibbake("plan", image, "--size", SIZE, "--drivers", package)
    r.schemas.check_refuses("plan", plan)
    kinds = {x["op"] for x in plan["operations"]}
    want(r.schemas, "kinds of operations", kinds, {"mkdir", "put", "key", "value", "clear-log"})
    dry = r.ibbake("bake", image, "--size", SIZE, "--drivers", package, "--dry-run")
    want(r.schemas, "dry_run of a dry run", dry["options"]["dry_run"], True)
    man = r.ibbake("bake", image, "--size", SIZE, "--drivers", package, "-o", out,
                   "--digest=content")
    r.schemas.check_refuses("manifest", man)
    want(r.schemas, "dry_run of a bake", man["options"]["dry_run"], False)
    with open(out + ".manifest.json", encoding="utf-8") as f:
        want(r.schemas, "the manifest beside the output", json.load(f), man)
    doc = r.ibbake("verify", out, "--manifest", out + ".manifest.json")
    r.schemas.check_refuses("verify", doc)
    doc = r.ibbake("drivers", "list", out)
    r.schemas.check_refuses("drivers", doc)
    again = r.ibbake("plan", out, "--size", SIZE, "--drivers", package)
    want(r.schemas, "operations of a second plan", again["operations"], [])
    newer = r.package("newer", "--version", "2.0.0.0")
    doc = r.ibbake("bake", out, "--size", SIZE, "--size", "Standard_HC44rs", "--drivers", newer,
                   "--drivers", package, "-o", r.path("second.vhd"), "--digest=sha256")
    want(r.schemas, "packages left out", len(doc["targets"][0]["selection"]["left_out"]), 1)
    want(r.schemas, "key security", list(doc["key_security"]["DRIVERS"]), ["like"])
    r.ibbake("inspect", r.path("second.vhd"))
    return image, out


def system_class(r):
    """A package of a boot-critical class is recorded in the SYSTEM hive."""
    package, image = r.package("system", "--class", "system"), r.image("system.vhd")
    doc = r.ibbake("bake", image, "--size", SIZE, "--drivers", package, "-o",
                   r.path("system-out.vhd"), "--no-manifest")
    want(r.schemas, "key security", list(doc["key_security"]["SYSTEM"]), ["descriptor"])
    package = r.package("system2", "--class", "system", "--date", "05/01/2026")
    doc = r.ibbake("plan", r.path("system-out.vhd"), "--size", SIZE, "--drivers", package)
    want(r.schemas, "key security", list(doc["key_security"]["SYSTEM"]), ["like"])


def any_driver(r, package):
    """drivers add and remove, of what serves no size."""
    image, out = r.image("drivers.vhd"), r.path("drivers-out.vhd")
    other = r.package("other", "--inf", "other.inf", "--class", "system")
    bad = r.package("bad", "--inf", "bad.inf", "--omit", "ibbdemo.sys")
    doc = r.ibbake("drivers", "add", image, package, other, bad, "--keep-going", "-o", out)
    want(r.schemas, "left out", [os.path.basename(x["inf"]) for x in doc["left_out"]], ["bad.inf"])
    want(r.schemas, "packages added", len(doc["packages"]), 2)
    r.ibbake("verify", out, "--manifest", out + ".manifest.json")
    gone = r.path("drivers-gone.vhd")
    doc = r.ibbake("drivers", "remove", out, "other.inf", "-o", gone)
    want(r.schemas, "packages removed", [x["inf"] for x in doc["removed"]], ["other.inf"])
    kinds = {x["op"] for x in doc["operations"]}
    want(r.schemas, "kinds of operations", kinds >= {"remove", "unset", "delete-key"}, True)
    r.ibbake("verify", gone, "--manifest", gone + ".manifest.json")
    r.ibbake("verify", out, "--manifest", gone + ".manifest.json", rc=3)


def boot_critical(r):
    """A package that Windows needs for its start is configured, and its newer version over it."""
    image, one, two = r.image("boot.vhd"), r.path("boot-1.vhd"), r.path("boot-2.vhd")
    old = r.package("boot-old", "--class", "scsi", "--boot-start")
    new = r.package("boot-new", "--class", "scsi", "--boot-start", "--version", "2.0.0.0")
    doc = r.ibbake("drivers", "add", image, old, "-o", one)
    want(r.schemas, "reflect", doc["packages"][0]["reflect"]["done"], True)
    want(r.schemas, "hives", {x["hive"] for x in doc["operations"] if "hive" in x},
         {"SYSTEM", "SOFTWARE"})
    doc = r.ibbake("drivers", "add", image, old, "--reflect=never", "--dry-run")
    want(r.schemas, "reflect", doc["packages"][0]["reflect"]["done"], False)
    want(r.schemas, "warned", [w for w in doc["warnings"] if "staged and not configured" in w]
         != [], True)
    doc = r.ibbake("drivers", "add", one, new, "-o", two)
    copy = [x for x in doc["files"] if x["path"].endswith("drivers/ibbdemo.sys")]
    want(r.schemas, "files replaced", [x["before"] is not None for x in copy], [True])
    r.ibbake("plan", one, "--size", SIZE, "--drivers", new)
    gone = r.path("boot-gone.vhd")
    doc = r.ibbake("drivers", "remove", two, "ibbdemo.inf", "--force", "-o", gone)
    want(r.schemas, "packages removed", len(doc["removed"]), 2)
    r.ibbake("verify", gone, "--manifest", gone + ".manifest.json")
    r.ibbake("drivers", "add", r.image("boot11.vhd", "--windows", "win11-22631"), old, "-o",
             r.path("x.vhd"), rc=100, document=False)
    other = r.package("boot-other", "--class", "scsi", "--boot-start", "--inf", "other.inf")
    doc = r.ibbake("drivers", "add", image, old, other, "--keep-going", "--dry-run")
    want(r.schemas, "left out", [os.path.basename(x["inf"]) for x in doc["left_out"]],
         ["other.inf"])
    r.ibbake("drivers", "add", image, old, other, "-o", r.path("x.vhd"), rc=100, document=False)
    r.ibbake("drivers", "add", image, old, "--reflect=sometimes", "-o", r.path("x.vhd"), rc=2,
             document=False)


def differences(r, image, out):
    """verify, of what is not the image of the manifest."""
    manifest = out + ".manifest.json"
    seen = set()
    dirty = r.image("dirty.vhd", "--dirty-hive", "--seed", "2")
    for other in (image, dirty):
        doc = r.ibbake("verify", other, "--manifest", manifest, rc=3)
        want(r.schemas, "identical", doc["identical"], False)
        seen |= {d["what"] for d in doc["differences"]}
    want(r.schemas, "kinds of differences", seen, {"identity", "hive", "file", "registry"})
    with open(manifest, encoding="utf-8") as f:
        doc = json.load(f)
    doc["targets"][0]["resolution"]["size"] = "Standard_Unheard_of"
    with open(r.path("edited.json"), "w", encoding="utf-8") as f:
        json.dump(doc, f)
    doc = r.ibbake("verify", out, "--manifest", r.path("edited.json"))
    want(r.schemas, "readiness for an unknown size", doc["readiness"][0]["readiness"], None)
    r.ibbake("verify", out, "--manifest", out, rc=255, document=False)


def chains(r, package, base):
    """A differencing disk, and one that does not find its parent."""
    child = differencing_vhd(r.path("child.vhd"), base, ".\\" + os.path.basename(base), b"c" * 16)
    doc = r.ibbake("inspect", child)
    want(r.schemas, "parents", [(p["container"], p["found_by"])
                                for p in doc["identity"]["parents"]],
         [("fixed VHD", "relative-path")])
    r.ibbake("inspect", child, "--second-opinion=off")
    r.ibbake("plan", child, "--size", SIZE, "--drivers", package)
    r.ibbake("bake", child, "--size", SIZE, "--drivers", package, "--dry-run")
    differencing_vhd(child, base, ".\\" + os.path.basename(base), b"c" * 16, time=1)
    r.ibbake("inspect", child, rc=100, document=False)
    doc = r.ibbake("bake", child, "--size", SIZE, "--drivers", package, "--dry-run",
                   "--accept-changed-parent")
    want(r.schemas, "accepted parent", doc["options"]["accept_changed_parent"], True)
    differencing_vhd(child, base, "gone.vhd", b"c" * 16, parent_id=b"g" * 16)
    r.ibbake("inspect", child, rc=100, document=False)


def other_images(r, package):
    """Forms and states that are no hindrance."""
    small = r.package("bare", "--bare-only")
    for name, *options in (
            ("mbr.raw", "--table", "mbr", "--windows", "win10-19045", "--state", "specialized",
             "--pci-instance", IB_ID + "=netmlx5.inf", "--pci-instance", IB_ID),
            ("whole.raw", "--table", "none", "--windows", "server2012r2"),
            ("4k.raw", "--sector", "4096", "--windows", "win11-26100", "--control-set", "2"),
            ("states.vhd", "--state", "audit", "--vss", "--usn", "--winof2", "24.4.50000",
             "--extension-plugin", "--pending-servicing", "--recovery", "--size", "64MiB")):
        image = r.image(name, *options)
        r.ibbake("inspect", image)
        r.ibbake("drivers", "list", image)
        r.ibbake("plan", image, "--size", "Standard_HC44rs", "--drivers", package, "--force",
                 "--allow-unsupported", "--format", "raw")
        r.ibbake("bake", image, "--size", "Standard_HC44rs", "--drivers", package, "--force",
                 "--allow-unsupported", "--dry-run", "--format", "raw")
        r.ibbake("plan", image, "--size", SIZE, "--drivers", small, "--force",
                 "--allow-unsupported", rc=100, document=False)


def conversions(r):
    """Of raw disks, of what that makes, and of a differencing disk."""
    image = r.image("odd.raw", "--table", "mbr")
    with open(image, "r+b") as f:
        f.truncate(os.path.getsize(image) + 512)
    for i, form in enumerate(("vhd", "vhd-dynamic", "vhdx", "raw")):
        out = r.path(f"conv{i}.{form[:3] if form != 'vhdx' else form}")
        doc = r.ibbake("convert", image, "-o", out, "--format", form, "--sparse", "always")
        r.schemas.check_refuses("convert", doc)
        want(r.schemas, "grown", doc["output"]["grown_bytes"],
             str((1 << 20) - 512) if form == "vhd" else "0")
        again = r.ibbake("convert", out, "-o", out + ".vhd", "--second-opinion=off")
        want(r.schemas, "second opinion", again["second_opinion"]["result"],
             "not-asked" if form == "raw" else "off")
    r.ibbake("convert", image, "-o", out, rc=2, document=False)
    r.events("convert", image, "-o", r.path("conv-events.vhd"))


def hives(r, package):
    """Dirty hives: with logs, with none that helps, and accepted as they are."""
    image = r.image("logged.vhd", "--logged-hives", "new", "--txr")
    doc = r.ibbake("inspect", image, "--hives")
    want(r.schemas, "recovery", {h["recovery"]["result"] for h in doc["image"]["hives"]},
         {"replayed"})
    r.ibbake("plan", image, "--size", SIZE, "--drivers", package)
    r.ibbake("bake", image, "--size", SIZE, "--drivers", package, "--dry-run")
    image = r.image("logless.vhd", "--dirty-hive")
    doc = r.ibbake("inspect", image, "--hives", rc=100)
    want(r.schemas, "recovery of SYSTEM", doc["image"]["hives"][0]["recovery"]["result"],
         "refused")
    for command in (("inspect", image, "--hives"), ("plan", image, *("--size", SIZE, "--drivers",
                    package)), ("bake", image, "--size", SIZE, "--drivers", package, "--dry-run")):
        doc = r.ibbake(*command, "--accept-dirty-hives")
        want(r.schemas, "recovery of SYSTEM", doc["image"]["hives"][0]["recovery"]["result"],
             "accepted-as-it-is")
    r.ibbake("drivers", "list", image, "--accept-dirty-hives")


def downloads(r):
    """Fetched, cached, refused, pinned; the cache looked at, damaged, swept."""
    server = Server({"/a": good(b"a" * 5000), "/b": lambda c, q: answer(c, "404 Not Found")})
    over, cache, lock = r.path("over.json"), r.path("cache"), r.path("downloads.lock")

    def release(name, sha256, path):
        return {"id": name, "driver_set": "winof2", "version": name, "driver_version": None,
                "date": None, "lts": False, "package": name + ".exe", "package_name": "seen",
                "urls": [{"url": f"http://127.0.0.1:{server.port}{path}", "basis": "seen",
                          "confidence": "A"}], "sha256": sha256, "windows": None,
                "windows_basis": "made by the test", "source": "azx", "confidence": "A",
                **({"sha256_basis": "the test"} if sha256 else {})}

    digest = hashlib.sha256(b"a" * 5000).hexdigest()
    with open(over, "w", encoding="utf-8") as f:
        json.dump({"format": 1, "title": "test", "as_of": "2026-01-01",
                   "releases": [release("one", None, "/a"), release("two", digest, "/b")]}, f)
    at = ("--cache-dir", cache)
    names = (*at, "--catalog-dir", over, "--tries", "1")
    try:
        doc = r.ibbake("fetch", "one", *names, "--allow-insecure-fetch", "--lock", lock)
        want(r.schemas, "pinned", doc["files"][0]["pinned"], "first-fetch")
        want(r.schemas, "insecure", doc["files"][0]["insecure"], True)
        with open(lock, encoding="utf-8") as f:
            r.schemas.check("lock", json.load(f), "the lock file of downloads")
        doc = r.ibbake("fetch", "--size", SIZE, "--os", "server2022", "--dry-run", *names)
        want(r.schemas, "state", doc["files"][0]["state"], "missing")
        doc = r.ibbake("fetch", "two", *names)  # the same file, by its digest
        want(r.schemas, "state", doc["files"][0]["state"], "cached")
        r.events("fetch", "two", *names)
        r.ibbake("cache", "list", *at)
        path = os.path.join(cache, "sha256", digest[:2], digest)
        os.chmod(path, 0o600)
        with open(path, "wb") as f:
            f.write(b"damage")
        doc = r.ibbake("cache", "verify", *at, rc=255)
        want(r.schemas, "state", doc["files"][0]["state"], "wrong")
        r.ibbake("cache", "verify", "--remove", *at)
        doc = r.ibbake("fetch", "two", *names, rc=100)
        want(r.schemas, "state", doc["files"][0]["state"], "failed")
        r.ibbake("fetch", "one", *at, "--catalog-dir", over, "--offline", rc=100)
        r.ibbake("cache", "add", over, *at)
        r.ibbake("cache", "prune", "--older-than", "0", *at)
        r.ibbake("fetch", *at, rc=2, document=False)
    finally:
        server.close()


def trust(r, image):
    """Packages judged alone, allowed by name, locked by digest."""
    package, unsigned = r.package("signed"), r.package("unsigned", "--no-catalog")
    doc = r.ibbake("drivers", "check", package)
    want(r.schemas, "verdict", doc["packages"][0]["signature"]["verdict"], "trust-anchor")
    doc = r.ibbake("drivers", "check", package, unsigned, os.path.join(package, "ibbdemo.sys"),
                   "--os", "server2022", rc=100)
    want(r.schemas, "verdicts", [p["signature"]["verdict"] for p in doc["packages"]],
         ["trust-anchor", "unsigned"])
    damaged = r.package("damaged")
    os.truncate(os.path.join(damaged, "ibbdemo.cat"), 100)
    doc = r.ibbake("drivers", "check", package, damaged, rc=255)
    want(r.schemas, "left out", [x["inf"] for x in doc["left_out"]],
         [os.path.join(damaged, "ibbdemo.inf")])
    r.ibbake("plan", image, "--size", SIZE, "--drivers", unsigned, rc=100, document=False)
    doc = r.ibbake("plan", image, "--size", SIZE, "--drivers", unsigned, "--allow=unsigned")
    want(r.schemas, "signature", doc["signature"], "allowed")
    lock = r.path("packages.lock")
    doc = r.ibbake("bake", image, "--size", SIZE, "--drivers", package, "--lock", lock, "-o",
                   r.path("locked.vhd"), "--allow=test-signed,untrusted-root")
    want(r.schemas, "signature", doc["signature"], "test trust")
    want(r.schemas, "allow", doc["options"]["allow"], ["test-signed", "untrusted-root"])
    with open(lock, encoding="utf-8") as f:
        locked = json.load(f)
    r.schemas.check("lock", locked, "the lock file")
    r.schemas.check_refuses("lock", locked)
    r.ibbake("plan", image, "--size", SIZE, "--drivers", package, "--lock", lock)
    r.ibbake("plan", image, "--size", SIZE, "--drivers", r.package("other", "--version", "2.0.0.0"),
             "--lock", lock, rc=100, document=False)


def bundles(r, image, package):
    """With everything that can be in one: an archive, a companion, a CRL, a signature; and bare."""
    archive, over, crl = r.path("vendor.zip"), r.path("over.json"), r.path("root.crl")
    with open(r.path("mlx5nd.dll"), "wb") as f:
        f.write(b"a provider")
    with open(os.path.join(r.args.schemas, "azure-rdma.json"), encoding="utf-8") as f:
        whole = json.load(f)
    companion = next(c for c in whole["companions"] if c["file"] == "mlx5nd.dll")
    companion["sha256"] = hashlib.sha256(b"a provider").hexdigest()
    with open(over, "w", encoding="utf-8") as f:
        json.dump({**{k: v for k, v in whole.items() if not isinstance(v, list)},
                   "companions": [companion]}, f)
    with zipfile.ZipFile(archive, "w") as z:
        for name in sorted(os.listdir(package)):
            z.write(os.path.join(package, name), "drivers/" + name)
        z.write(r.path("mlx5nd.dll"), "drivers/MLX5ND.dll")
        z.writestr("drivers/ndinstall.exe", b"nobody signed this")
    with open(r.path("ca.cnf"), "w", encoding="utf-8") as f:
        f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={r.path('index.txt')}\ndefault_md=sha256\n")
    open(r.path("index.txt"), "w", encoding="utf-8").close()
    r.tool(["openssl", "ca", "-gencrl", "-config", r.path("ca.cnf"), "-keyfile",
            os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/demo-root-key.pem"),
            "-cert", r.path("root.pem"), "-crldays", "30", "-out", crl])
    secret, public = r.path("key.pem"), r.path("public.pem")
    r.tool(["openssl", "genpkey", "-algorithm", "ed25519", "-out", secret])
    r.tool(["openssl", "pkey", "-in", secret, "-pubout", "-out", public])
    bundle, bare = r.path("full.ibbundle"), r.path("bare.ibbundle")
    make = ("bundle", "create", "--size", SIZE, "--os", "server2022", "--drivers")
    doc = r.ibbake(*make, archive, "--os", "server2019", "--catalog-dir", over, "--crl", crl,
                   "--sign-key", secret, "-o", bundle)
    r.schemas.check_refuses("bundle-check", doc)
    want(r.schemas, "companions", [c["path"] for c in doc["companions"]],
         ["companions/winof2/mlx5nd.dll"])
    want(r.schemas, "an unsigned companion", [w.startswith("ndinstall.exe left out: ")
                                              for w in doc["warnings"]].count(True), 1)
    want(r.schemas, "sources", [x["name"] for x in doc["sources"]], ["vendor.zip"])
    want(r.schemas, "signature", doc["signature"]["state"], "asked for")
    r.ibbake(*make, package, "-o", bare)
    doc = r.ibbake("bundle", "check", bare)
    want(r.schemas, "signature", doc["signature"], {"state": "none", "key": None})
    doc = r.ibbake("bundle", "check", bundle)
    want(r.schemas, "signature", doc["signature"]["state"], "unknown")
    doc = r.ibbake("bundle", "unpack", bundle, "-o", r.path("bundle.d"), "--bundle-key", public)
    want(r.schemas, "unpacked to", doc["unpacked_to"], r.path("bundle.d"))
    with open(r.path("bundle.d/bundle.json"), encoding="utf-8") as f:
        doc = json.load(f)
    r.schemas.check("bundle", doc, "bundle.json")
    r.schemas.check_refuses("bundle", doc)
    r.ibbake("bundle", "check", bare, "--bundle-key", public, rc=100, document=False)
    doc = r.ibbake("bake", image, "--size", SIZE, "--bundle", bundle, "--bundle-key", public,
                   "-o", r.path("from-bundle.vhd"))
    want(r.schemas, "key asked", doc["options"]["bundle"]["key_asked"], True)


def hindered_images(r):
    """inspect shows what it can, with the problem."""
    for name, code, has_image, *options in (
            ("dirty-hive.vhd", "dirty", True, "--dirty-hive"),
            ("dirty-volume.vhd", "dirty", False, "--dirty-volume"),
            ("hibernated.vhd", "dirty", False, "--hibernated"),
            ("none.vhd", "unsupported", False, "--no-windows"),
            ("two.vhd", "unsupported", False, "--second-windows", "--size", "96MiB"),
            ("arm64.vhd", "unsupported", True, "--arch", "arm64", "--windows", "win11-22631"),
            ("win7.vhd", "unsupported", True, "--windows", "win7"),
            ("no-drivers.vhd", "unsupported", True, "--no-drivers-hive")):
        image = r.image(name, *options)
        doc = r.ibbake("inspect", image, rc=100)
        want(r.schemas, f"{name}: code of the problem", doc["problem"]["code"], code)
        want(r.schemas, f"{name}: has an image", "image" in doc, has_image)
        r.ibbake("drivers", "list", image, rc=100, document=False)
    image = r.image("gpt.vhd")
    with open(image, "r+b") as f:
        f.seek(512)
        f.write(b"NO PART ")
    doc = r.ibbake("inspect", image)
    want(r.schemas, "gpt_primary_damaged", doc["gpt_primary_damaged"], True)
    with open(image, "r+b") as f:
        f.truncate(700)
    r.ibbake("inspect", image, rc=255, document=False)


def recover_documents(r, image, package):
    copy = r.path("in-place.vhd")
    shutil.copyfile(image, copy)
    doc = r.ibbake("bake", copy, "--size", SIZE, "--drivers", package, "--in-place")
    want(r.schemas, "in place", doc["writing"]["format"], "in-place")
    want(r.schemas, "recover", r.ibbake("recover", image)["action"], "nothing")
    journal = os.path.realpath(image) + ".ibbake-journal"
    with open(journal, "w"):
        os.chmod(journal, 0o600)
    r.ibbake("inspect", image, rc=100, document=False)
    doc = r.ibbake("recover", image)
    want(r.schemas, "recover", (doc["state"], doc["action"]), ("incomplete", "dropped"))


def wims(r, package):
    """A Server, a Windows PE and a data volume in one file."""
    base = r.path("install.wim")
    volumes = [f"{n}={r.image(n + '.raw', '--table', 'none', *o)}" for n, o in (
        ("server", ("--windows", "server2022", "--oem", "1")),
        ("setup", ("--windows", "winpe-20348")),
        ("data", ("--no-windows",)))]
    r.tool([r.args.mkwim, "--integrity", "--boot", "2", base, *volumes])
    doc = r.ibbake("inspect", base)
    r.schemas.check_refuses("wim-inspect", doc)
    want(r.schemas, "skipped", [i["skipped"] is not None for i in doc["images"]], [False, False, True])
    want(r.schemas, "Windows PE", [i["image"]["windows"]["windows_pe"] for i in doc["images"][:2]],
         [False, True])
    doc = r.ibbake("inspect", base, "--image", "data", rc=100)
    want(r.schemas, "problem", doc["images"][0]["problem"]["code"], "unsupported")
    how = ("--image", "all", "--size", SIZE, "--drivers", package)
    doc = r.ibbake("plan", base, *how)
    r.schemas.check_refuses("wim-plan", doc)
    doc = r.ibbake("bake", base, *how, "--dry-run")
    want(r.schemas, "output and writing of a dry run", (doc["output"], doc["writing"]), (None, None))
    out = r.path("out.wim")
    doc = r.ibbake("bake", base, *how, "-o", out, "--digest=sha256")
    r.schemas.check_refuses("wim-manifest", doc)
    want(r.schemas, "mode", doc["writing"]["mode"], "new-file")
    want(r.schemas, "images", [(i["index"], i["name"], "skipped" in i) for i in doc["images"]],
         [(1, "server", False), (2, "setup", False), (3, "data", True)])
    with open(out + ".manifest.json", encoding="utf-8") as f:
        want(r.schemas, "the manifest beside the output", json.load(f), doc)
    doc = r.ibbake("verify", out, "--manifest", out + ".manifest.json")
    r.schemas.check_refuses("wim-verify", doc)
    want(r.schemas, "images compared", [i["index"] for i in doc["images"]], [1, 2])
    doc = r.ibbake("verify", base, "--manifest", out + ".manifest.json", rc=3)
    want(r.schemas, "differences", (len(doc["differences"]), len(doc["images"][0]["differences"]) > 50),
         (1, True))
    doc = r.ibbake("drivers", "list", out)
    r.schemas.check_refuses("wim-drivers", doc)
    other = r.package("wim-other", "--inf", "other.inf", "--class", "system")
    doc = r.ibbake("drivers", "add", out, other, "--image", "1", "--in-place", "--overwrite")
    want(r.schemas, "in place", (doc["writing"]["mode"], doc["writing"]["grown_bytes"] != "0",
                                 doc["writing"]["dead_bytes"] != "0"), ("in-place", True, True))
    doc = r.ibbake("drivers", "remove", out, "other.inf", "--image", "server", "--in-place", "--compact",
                   "--overwrite")
    want(r.schemas, "compact", doc["writing"], {"mode": "compact", "grown_bytes": "0", "dead_bytes": "0"})
    # what was applied to a disk is compared with its part of the manifest
    r.ibbake("bake", base, *how, "-o", r.path("again.wim"))
    r.ibbake("verify", r.path("server.raw"), "--manifest", r.path("again.wim.manifest.json"), "--image",
             "server", rc=3)


def recovery(r, package):
    """A disk with a recovery image, which also holds an image without Windows."""
    wim = r.path("winre.wim")
    volumes = [f"{n}={r.image('re-' + n + '.raw', '--table', 'none', *o)}" for n, o in (
        ("re", ("--windows", "winpe-20348")), ("data", ("--no-windows",)))]
    r.tool([r.args.mkwim, wim, *volumes])
    image, out = r.image("recovery.vhd", "--recovery-winre", wim), r.path("recovered.vhd")
    doc = r.ibbake("inspect", image)
    want(r.schemas, "recovery images", [x["partition"] for x in doc["recovery_images"]], [4])
    doc = r.ibbake("bake", image, "--size", SIZE, "--drivers", package, "--winre", "-o", out)
    want(r.schemas, "recovery images", [[("skipped" in i) for i in x["images"]] for x in doc["winre"]],
         [[False, True]])
    r.ibbake("verify", out, "--manifest", out + ".manifest.json")


def vendor_zip(r, package, name="vendor.zip", broken=True):
    path = r.path(name)
    with zipfile.ZipFile(path, "w") as z:
        for name in os.listdir(package):
            z.write(os.path.join(package, name), "Drivers/" + name)
        z.writestr("Tools/mlx5nd.dll", "a companion by its name")
        if broken:
            z.writestr("Tools/broken.inf", "no INF at all")
        z.writestr("Docs/manual.zip", b"PK\3\4 and then it ends")
    return path


def archives(r, package):
    """What vendors ship, taken apart."""
    archive = vendor_zip(r, package)
    doc = r.ibbake("drivers", "unpack", archive, "-o", r.path("unpacked"))
    want(r.schemas, "packages", [(p["inf"], p["problem"] is None) for p in doc["packages"]],
         [("Drivers/ibbdemo.inf", True), ("Tools/broken.inf", False)])
    want(r.schemas, "companions", [c["path"] for c in doc["companions"]], ["Tools/mlx5nd.dll"])
    want(r.schemas, "warnings", len(doc["warnings"]), 1)
    r.schemas.check_refuses("unpack", doc)
    doc = r.ibbake("drivers", "unpack", archive, package + ".tar", "-o", r.path("unpacked2"),
                   rc=255, document=False)
    doc = r.ibbake("drivers", "check", archive, rc=(100, 255))
    want(r.schemas, "archives", [a["kind"] for a in doc["archives"]], ["zip"])
    sound, image = vendor_zip(r, package, "whole.zip", False), r.image("vendor.vhd")
    with open(sound, "rb") as f:
        want_list = [{"file": sound, "path": None, "kind": "zip", "unverified": None,
                      "sha256": hashlib.sha256(f.read()).hexdigest()}]
    how, wim = ("--size", SIZE, "--drivers", sound), r.path("vendor.wim")
    r.tool([r.args.mkwim, wim, "server=" + r.image("vendor.raw", "--table", "none")])
    for name, path, out in (("disk", image, "vendor-out.vhd"), ("WIM", wim, "vendor-out.wim")):
        doc = r.ibbake("plan", path, *how)
        want(r.schemas, name + ": archives of the plan", doc["archives"], want_list)
        doc = r.ibbake("bake", path, *how, "-o", r.path(out))
        want(r.schemas, name + ": archives of the manifest", doc["archives"], want_list)
    doc = r.ibbake("bake", image, "--size", SIZE, "--drivers", package, "--dry-run")
    want(r.schemas, "archives of a directory", doc["archives"], [])
    return archive


def event_lines(r, image, out, package):
    bake = ("bake", image, "--size", SIZE, "--drivers", package)
    r.events("plan", image, "--size", SIZE, "--drivers", package)
    r.events(*bake, "--drivers", vendor_zip(r, package, "sound.zip", False), "-o",
             r.path("events.vhd"),
             "--digest=content")
    want(r.schemas, "phases", r.phases - {None},
         {"inspect", "unpack", "packages", "plan", "digest", "apply", "copy", "check", "sync",
          "fetch"})
    r.events(*bake, "-o", out, rc=100, code="exists")
    r.events(*bake, "-o", r.path("no/such.vhd"), rc=255, code="io")
    r.events(*bake, "-o", r.path("x.vhd"), "--require", "address", rc=100, code="unsupported")
    r.events("bake", r.path("dirty.vhd"), "--size", SIZE, "--drivers", package, "-o",
             r.path("x.vhd"), rc=100, code="dirty")
    r.events("bake", package + "/ibbdemo.inf", "--size", SIZE, "--drivers", package, "-o",
             r.path("x.vhd"), rc=255, code="damaged")
    r.events("plan", image, "--size", "Standard_Nothing", rc=100, code="unsupported")
    r.events("plan", image, rc=2, code="usage")
    r.events(*bake, rc=2, code="usage")
    r.events("bake", image, "--colour", rc=2, code="usage")
    r.events("bake", image, "--size", rc=2, code="usage")


def main():
    p = argparse.ArgumentParser()
    for name in ("ibbake", "mkimage", "mkpkg", "mkwim", "schemas"):
        p.add_argument("--" + name, required=True)
    args = p.parse_args()
    schemas = Schemas(args.schemas)
    schemas.check_form()
    r = Runs(args, schemas)
    try:
        package = r.package("package")
        catalog_documents(r)
        catalogs(r)
        image, out = main_line(r, package)
        system_class(r)
        any_driver(r, package)
        boot_critical(r)
        differences(r, image, out)
        chains(r, package, image)
        other_images(r, package)
        conversions(r)
        hives(r, package)
        trust(r, image)
        bundles(r, image, package)
        downloads(r)
        hindered_images(r)
        recover_documents(r, image, package)
        wims(r, package)
        recovery(r, package)
        archives(r, package)
        event_lines(r, image, out, package)
        schemas.check_seen()
    except Unexpected as e:
        schemas.fault(str(e))
    finally:
        shutil.rmtree(r.dir, ignore_errors=True)
    for f in schemas.faults:
        print(f)
    print(f"{r.n} runs, {len(schemas.faults)} faults")
    return 1 if schemas.faults else 0


sys.exit(main())
