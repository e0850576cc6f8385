# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles: all that a bake needs in one file, and nothing from the network."""
import hashlib
import json
import os
import re
import shutil
import tarfile
import zipfile

from cases_bake import EPOCH
from cases_input import SMALL
from cases_trust import empty_crl
from wimworld import build
from world import SIZE, Failure, Skip, check, content_digest, find_tool, same

OS = "server2022"


def keys(world, name="key"):
    """(private, public) in PEM."""
    if not find_tool("openssl"):
        raise Skip("openssl is not installed")
    secret, public = world.path(name + ".pem"), world.path(name + ".pub.pem")
    world.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", secret])
    world.run(["openssl", "pkey", "-in", secret, "-pubout", "-out", public])
    return secret, public


def create(world, out, *options, rc=0, package=None, size=SIZE, windows=OS):
    return world.ibbake("bundle", "create", *world.anchor, "--size", size, "--os", windows,
                        "--drivers", package or world.path("package"), "-o", out, *options, rc=rc)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def digest(path):
    return hashlib.sha256(read(path)).hexdigest()


def manifest(out):
    with open(out + ".manifest.json", encoding="utf-8") as f:
        return json.load(f)


def no_network(world):
    """The words in front of a command that take every interface away, or skip."""
    tool = find_tool("unshare")
    if not tool:
        raise Skip("unshare is not installed")
    r = world.run([tool, "-rn", "true"], rc=None)
    if r.rc:
        raise Skip(f"no network namespace can be made here ({r.err.strip()})")
    return [tool, "-rn"]


def e2e_bundle(world):
    """Made in one place, used in another that has no network and nothing else."""
    image, bundle = world.image(*SMALL), world.path("a.ibbundle")
    secret, public = keys(world)
    world.package()
    create(world, bundle, "--sign-key", secret).mentions("TEST TRUST", "ibbdemo.inf", "trust-anchor")
    again = world.path("b.ibbundle")
    shutil.move(world.path("package"), world.path("elsewhere"))
    create(world, again, "--sign-key", secret, package=world.path("elsewhere"))
    same(digest(again), digest(bundle), "two bundles of the same input")
    shutil.rmtree(world.path("elsewhere"))
    os.unlink(again)
    r = world.ibbake("bundle", "check", bundle, "--bundle-key", public, "--json").json()
    same((r["signature"]["state"], r["sha256"], r["trust"], r["sizes"], r["packages"][0]["inf"]),
         ("asked for", digest(bundle), "test trust", [SIZE], "ibbdemo.inf"), "bundle check")
    before = world.listing()
    alone, outs = no_network(world), [world.path("out1.vhd"), world.path("out2.vhd")]
    for out in outs:
        r = world.run([*alone, world.args.ibbake, "bake", *world.anchor, image.path, "--size",
                       SIZE, "--bundle", bundle, "--bundle-key", public, "-o", out], env=EPOCH)
        check(r.out.startswith("TEST TRUST: "), f"not said in first place\n{r}")
    same(content_digest(outs[1]), content_digest(outs[0]), "two bakes")
    new = {"out1.vhd", "out1.vhd.manifest.json", "out2.vhd", "out2.vhd.manifest.json"}
    same(world.listing() - before, new, "files that two bakes made")
    doc = manifest(outs[0])
    same(doc["options"]["bundle"],
         {"path": bundle, "sha256": digest(bundle), "key_asked": True,
          "key": world.ibbake("bundle", "check", bundle, "--json").json()["signature"]["key"]},
         "bundle in the manifest")
    same(doc["packages"][0]["directory"], bundle + "!/packages/ibbdemo-1.0.0.0", "directory")
    check("ibbake-" not in json.dumps(doc).replace("ibbake-e2e-", "")
          .replace("ibbake-manifest", ""), f"a private path in the manifest: {doc}")
    r = world.run([*alone, world.args.ibbake, "verify", outs[0], "--manifest",
                   outs[0] + ".manifest.json", "--bundle", bundle])
    r.mentions(": 0 differences")
    world.ibbake("plan", image.path, "--size", SIZE, "--bundle", bundle).mentions(
        "a key that nobody asked for")
    world.trust = False
    world.refused(["bake", image.path, "--size", SIZE, "--bundle", bundle, "-o",
                   world.path("x.vhd")], 100, bundle + "!/packages/ibbdemo-1.0.0.0/ibbdemo.inf",
                  "untrusted-root")


def e2e_bundle_refused(world):
    """Wrong key, changed, cut, not made for it: said, and nothing stays behind."""
    image, bundle = world.image(*SMALL), world.path("a.ibbundle")
    (secret, public), (_, other) = keys(world), keys(world, "other")
    package = world.package()
    create(world, bundle, "--sign-key", secret)

    def no(rc, *texts, file=bundle, options=(), size=SIZE):
        world.refused(["bake", image.path, "--size", size, "--bundle", file, *options, "-o",
                       world.path("x.vhd")], rc, *texts)

    no(100, bundle, "signed by", "none of the keys given", options=["--bundle-key", other])
    no(2, "no Ed25519 public key in PEM", options=["--bundle-key", world.root])
    plain = world.path("plain.ibbundle")
    create(world, plain)
    no(100, "not signed, and a key was given", file=plain, options=["--bundle-key", public])
    data = read(bundle)
    bad = world.path("bad.ibbundle")
    at = len(data) - 2048
    for place, says in ((at, "it was changed"), (600, "it was changed"),
                        (len(data) - 1, "padding that is not zero")):
        changed = bytearray(data)
        changed[place] ^= 1
        with open(bad, "wb") as f:
            f.write(changed)
        no((100, 255), bad, says, file=bad)
        world.refused(["bundle", "unpack", bad, "-o", world.path("dir")], (100, 255), says)
    for n in (0, 511, 1000, len(data) // 2, len(data) - 512):
        with open(bad, "wb") as f:
            f.write(data[:n])
        no(255, bad, "truncated", file=bad)
    no(100, "no such file", file=world.path("nothing"))
    no(100, "was not made for Standard_HB176rs_v4 on Windows Server 2022",
       f"it is for {SIZE} on server2022", "hint:", "bundle create", size="Standard_HB176rs_v4")
    old = world.image(*SMALL, "--windows", "server2019", name="old.vhd")
    world.refused(["bake", old.path, "--size", SIZE, "--bundle", bundle, "-o",
                   world.path("x.vhd")], 100, "was not made for", "Windows Server 2019")
    world.refused(["resolve", "--size", SIZE, "--os", "server2019", "--bundle", bundle], 100,
                  "was not made for")
    for options in (["--drivers", package], ["--lock", world.path("l")],
                    ["--catalog", world.path("c")], ["--catalog-dir", world.dir]):
        no(2, "cannot be given with it", options=options)
    world.refused(["bake", image.path, "--size", SIZE, "--drivers", package, "--bundle-key",
                   public, "-o", world.path("x.vhd")], 2, "but no bundle")
    world.refused(["bake", image.path, "--size", SIZE, "--bundle", bundle, "--overwrite", "-o",
                   bundle, "--format", "raw"], (2, 100), bundle)
    same(data, read(bundle), "the bundle")


def put(name, data):
    """A file of the archive, as ibbake writes it."""
    h = bytearray(512)
    h[0:len(name)] = name.encode()
    for at, text in ((100, b"0000644"), (108, b"0000000"), (116, b"0000000"),
                     (124, b"%011o" % len(data)), (136, b"0" * 11), (148, b" " * 8), (156, b"0"),
                     (257, b"ustar\x0000"), (329, b"0000000"), (337, b"0000000")):
        h[at:at + len(text)] = text
    h[148:155] = b"%06o\0" % sum(h)
    return bytes(h) + data + bytes(-len(data) % 512)


def forge(source, out, change=None, files=None):
    """An unsigned bundle with another bundle.json, and with other files."""
    with tarfile.open(source) as t:
        old = {m.name: t.extractfile(m).read() for m in t.getmembers()}
    doc = json.loads(old.pop("bundle.json"))
    del old["bundle.sig"]
    old.update(files or {})
    if change:
        change(doc)
    doc["files"] = [{"path": n, "bytes": str(len(b)), "sha256": hashlib.sha256(b).hexdigest()}
                    for n, b in sorted(old.items())]
    about = json.dumps(doc).encode()
    sig = ('{\n\t"schema": "ibbake-bundle-signature/1",\n\t"sha256": "%s",\n\t"key": null,'
           '\n\t"signature": null\n}\n' % hashlib.sha256(about).hexdigest()).encode()
    with open(out, "wb") as f:
        for name, data in [("bundle.json", about), ("bundle.sig", sig), *sorted(old.items())]:
            f.write(put(name, data))
        f.write(bytes(1024))


def e2e_bundle_forged(world):
    """What anybody can have written into an unsigned bundle is shown as such, and acts on nothing."""
    image, bundle, bad = world.image(*SMALL), world.path("a.ibbundle"), world.path("bad.ibbundle")
    world.package()
    create(world, bundle)
    forge(bundle, bad)
    said = f"{bad} is not signed: anybody can have made or changed it"
    world.ibbake("plan", image.path, "--size", SIZE, "--bundle", bad).mentions(said)
    out = world.path("out.vhd")
    world.ibbake("bake", image.path, "--size", SIZE, "--bundle", bad, "-o", out)
    check(said in manifest(out)["warnings"], f"warnings: {manifest(out)['warnings']}")

    def lines(doc):
        doc["sizes"].append("S\nsigned     by 0123\x1b[31m\x9b\u202e\x7f\t")
        doc["trust"] = "verified"
        doc["packages"][0]["targets"][0].update(verdict="whql", signer="Microsoft\r\nTEST")

    forge(bundle, bad, lines)
    r = world.ibbake("bundle", "check", bad)
    r.mentions("signed     by nobody: anybody", "trust      verified, as its maker says",
               "whql, signed by Microsoft\\u000d\\u000aTEST, as its maker says",
               "S\\u000asigned     by 0123\\u001b[31m\\u009b\\u202e\\u007f\\u0009")
    check(not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]|^signed     by 0123", r.out, re.M),
          f"{r.out!r}")
    r = world.ibbake("resolve", "--size", "Standard_HB176rs_v4", "--os", OS, "--bundle", bad, rc=100)
    r.says("S?signed     by 0123?[31m\\u009b\\u202e")
    check(not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", r.err), f"{r.err!r}")

    def member(*path):
        def change(doc):
            for key in path[:-2]:
                doc = doc[key]
            doc[path[-2]] = path[-1]
        return change

    for change, say in (
            (member("trust", "sound"), '"trust" is none of'),
            (member("time", 5), '"time" is no text'),
            (member("tool", "version", None), '"tool" lacks something'),
            (member("sizes", 0, 7), '"sizes" has something that is no text'),
            (member("windows", 0, "id", 7), '"windows" lacks something'),
            (member("packages", 0, "directory", "packages/x"), '"packages" names a file'),
            (member("packages", 0, "targets", 0, "verdict", "fine"), '"packages" lacks something'),
            (member("packages", 0, "targets", 0, "allowed", "no"), '"packages" lacks something'),
            (member("resolutions", 0, "package", "x.inf"), '"resolutions" names a file'),
            (member("companions", [{"path": "companions/x", "role": "r", "sha256": "0" * 64,
                                    "signer": None}]), '"companions" names a file'),
            (member("crls", ["crls/x"]), '"crls" names a file'),
            (member("catalog", "files", []), '"catalog" does not name all files'),
            (member("warnings", {}), '"warnings" is no list')):
        forge(bundle, bad, change)
        world.refused(["bundle", "check", bad], 255, f"{bad}: bundle.json: {say}")
        world.refused(["plan", image.path, "--size", SIZE, "--bundle", bad], 255, say)
    forge(bundle, bad, files={"catalog/001-more.json": b"{}"})
    world.refused(["bundle", "check", bad], 255, '"catalog" does not name all files')
    forge(bundle, bad, files={"lock.json": b'{"schema": "ibbake-lock/1", "downloads": [{"release": '
                              b'"x", "sha256": "' + b"0" * 64 + b'"}]}'})
    world.refused(["plan", image.path, "--size", SIZE, "--bundle", bad], 255,
                  f"{bad}!/lock.json: locks no packages")


def e2e_bundle_create(world):
    """What cannot be served, or nobody vouches for, does not become a bundle."""
    out, package = world.path("a.ibbundle"), world.package()
    anchor = world.anchor

    def no(rc, *texts, options=(), size=SIZE, windows=OS, trust=anchor):
        world.refused(["bundle", "create", *trust, "--size", size, "--os", windows, "--drivers",
                       package, "-o", out, *options], rc, *texts)

    no(100, "for server2022: ", "ibbdemo.inf", "untrusted-root", trust=[])
    no(2, "win95", windows="win95")
    no(100, "there is no such lock file", options=["--lock", world.path("nothing")])
    no(2, "no Ed25519 private key", options=["--sign-key", world.root])
    secret, _ = keys(world)
    locked = world.path("encrypted.pem")
    world.run(["openssl", "pkey", "-in", secret, "-aes256", "-passout", "pass:x", "-out", locked])
    no(2, "the private key is encrypted", "no password", options=["--sign-key", locked])
    strange = world.package("--ids", r"PCI\VEN_1234&DEV_0001", name="strange")
    world.refused(["bundle", "create", *anchor, "--size", SIZE, "--os", OS, "--drivers", strange,
                   "-o", out], 100, f"{SIZE} on {OS}: none of the 1 INF file(s)", "hint:")
    bare = world.package("--bare-only", name="bare")
    world.refused(["bundle", "create", *anchor, "--size", SIZE, "--os", OS, "--drivers", bare,
                   "-o", out], 100, f"{SIZE} on {OS}: none of the 1 INF file(s)")
    crl = empty_crl(world)
    create(world, out, "--crl", crl, "--os", "server2019")
    names = tarfile.open(out).getnames()
    same(names, ["bundle.json", "bundle.sig", "catalog/000-builtin.json", "crls/000-root.crl",
                 "lock.json", "packages/ibbdemo-1.0.0.0/ibbdemo.cat",
                 "packages/ibbdemo-1.0.0.0/ibbdemo.inf", "packages/ibbdemo-1.0.0.0/ibbdemo.sys"],
         "what is in it")
    no(100, out, "exists")
    world.refused(["bundle", "create", *anchor, "--size", SIZE, "--os", OS, "--drivers", package,
                   "--sign-key", secret, "--overwrite", "-o", secret], 100,
                  "would replace what it is made from")
    image, vhd = world.image(*SMALL), world.path("out.vhd")
    world.ibbake("bake", image.path, "--size", SIZE, "--bundle", out, "-o", vhd)
    same(manifest(vhd)["options"]["crls"],
         [{"path": out + "!/crls/000-root.crl", "sha256": digest(crl)}], "CRLs of the bundle")
    directory = world.path("dir")
    world.ibbake("bundle", "unpack", out, "-o", directory + "//").mentions(f"to {directory}\n")
    found = sorted(os.path.relpath(os.path.join(t, f), directory)
                   for t, _, fs in os.walk(directory) for f in fs)
    same(found, sorted(names), "unpacked")
    for f in os.listdir(package):
        same(digest(os.path.join(directory, "packages/ibbdemo-1.0.0.0", f)),
             digest(os.path.join(package, f)), f)
    world.refused(["bundle", "unpack", out, "-o", directory], (2, 100, 255), "exists")
    create(world, out, "--overwrite", "--lock", os.path.join(directory, "lock.json"))
    shutil.rmtree(package)
    world.package("--version", "9.9.9.9")
    no(100, "lock.json", "does not lock", options=["--overwrite", "--lock",
                                                   os.path.join(directory, "lock.json")])


def e2e_bundle_companion(world):
    """One that is pinned travels along, is unpacked, and stays out of the image."""
    image, package, over = world.image(*SMALL), world.package(), world.path("over.json")
    bundle, directory, out = world.path("a.ibbundle"), world.path("dir"), world.path("out.vhd")
    with open(os.path.join(package, "MLX5ND.dll"), "wb") as f:
        f.write(b"a provider")
    with open(os.path.join(world.args.source, "catalogs/azure-rdma.json"), encoding="utf-8") as f:
        whole = json.load(f)
    companion = next(c for c in whole["companions"] if c["file"] == "mlx5nd.dll")
    companion["sha256"] = hashlib.sha256(b"a provider").hexdigest()
    with open(over, "w", encoding="utf-8") as f:
        json.dump({**{k: v for k, v in whole.items() if not isinstance(v, list)},
                   "companions": [companion]}, f)
    path = "companions/winof2/mlx5nd.dll"
    create(world, bundle, "--catalog-dir", over).mentions(f"companion  {path} (")
    world.ibbake("bundle", "unpack", bundle, "-o", directory)
    same(read(os.path.join(directory, path)), b"a provider", "the companion")
    world.ibbake("bake", image.path, "--size", SIZE, "--bundle", bundle, "-o", out)
    files = [f["path"].lower() for p in manifest(out)["packages"] for f in p["files"]]
    check(files and not any("mlx5nd" in f for f in files), f"files of the bake: {files}")
    with open(os.path.join(package, "MLX5ND.dll"), "ab") as f:
        f.write(b"x")
    r = create(world, bundle, "--catalog-dir", over, "--overwrite")
    r.mentions("warning: MLX5ND.dll left out: ")
    check(path not in r.out, f"{r}")


def e2e_bundle_pins(world):
    """A lock file that pins archives holds those that are given by name to it."""
    image, package, lock = world.image(*SMALL), world.package(), world.path("site.lock")
    archive, out = world.path("vendor.zip"), world.path("a.ibbundle")
    with zipfile.ZipFile(archive, "w") as z:
        for name in sorted(os.listdir(package)):
            z.write(os.path.join(package, name), "drivers/" + name)

    def pin(sha256, insecure=False):
        with open(lock, "w", encoding="utf-8") as f:
            json.dump({"schema": "ibbake-lock/1", "downloads": [
                {"release": "winof2-25.10", "file": "Vendor.zip", "url": None, "sha256": sha256,
                 "size_bytes": "1", "pinned": "first-fetch", "insecure": insecure}]}, f)

    other = "1" * 64
    pin(other)
    before = read(lock)
    for args in (["plan", image.path, "--size", SIZE],
                 ["bake", image.path, "--size", SIZE, "-o", world.path("x.vhd")],
                 ["bundle", "create", *world.anchor, "--size", SIZE, "--os", OS, "-o", out]):
        world.refused([*args, "--drivers", archive, "--lock", lock], 100,
                      f"{archive} has the digest {digest(archive)}, but {lock} pins vendor.zip as "
                      f"release winof2-25.10 with {other}", "hint: ")
    same(read(lock), before, "the lock file")
    pin(digest(archive))
    create(world, out, "--lock", lock, package=archive).mentions(
        f"warning: {lock} locks no packages: those of the bundle are held against nothing")
    pin(digest(archive), insecure=True)
    says = f"vendor.zip, release winof2-25.10, came over http while nobody knew its digest, as {lock}"
    create(world, out, "--lock", lock, "--overwrite", package=archive).mentions(says)
    r = world.ibbake("bundle", "check", out, "--json").json()
    same(r["sources"], [{"name": "vendor.zip", "sha256": digest(archive), "pinned": "first-fetch",
                         "insecure": True}], "sources")
    check(any(says in w for w in r["warnings"]), f"{r['warnings']}")
    vhd = world.path("out.vhd")
    world.ibbake("bake", image.path, "--size", SIZE, "--drivers", archive, "--lock", lock, "-o", vhd)
    with open(lock, encoding="utf-8") as f:
        same(len(json.load(f)["packages"]), 1, "packages locked")
    r = create(world, out, "--lock", lock, "--overwrite", package=archive)
    check("locks no packages" not in r.out, f"{r}")


def e2e_bundle_overlay(world):
    """Catalogs of one's own travel along and decide the same; what they changed is said alike."""
    world.package()
    over, bundle = world.path("over.json"), world.path("a.ibbundle")
    with open(os.path.join(world.args.source, "catalogs/azure-rdma.json"), encoding="utf-8") as f:
        whole = json.load(f)
    size = next(x for x in whole["sizes"] if x["name"] == SIZE)
    size["note"] = "as our site has it"
    with open(over, "w", encoding="utf-8") as f:
        json.dump({**{k: v for k, v in whole.items() if not isinstance(v, list)},
                   "sizes": [size]}, f)
    own = ["--catalog-dir", over]
    want = world.ibbake("resolve", "--size", SIZE, "--os", OS, *own, "--json", rc=None)
    if want.rc:
        raise Failure(f"the overlay is not taken\n{want}")
    twice = world.path("z.json")
    size["note"] = "as another has it"
    with open(twice, "w", encoding="utf-8") as f:
        json.dump({**{k: v for k, v in whole.items() if not isinstance(v, list)},
                   "sizes": [size]}, f)
    says = "z.json"
    r = create(world, bundle, *own, "--catalog-dir", twice)
    found = [x for x in r.out.splitlines() if x.startswith("warning: ") and says in x and SIZE in x]
    same(len(found), 1, f"conflicts that create tells\n{r}")
    world.ibbake("bundle", "check", bundle).mentions(found[0])
    create(world, bundle, *own, "--overwrite")
    os.unlink(over)
    got = world.ibbake("resolve", "--size", SIZE, "--os", OS, "--bundle", bundle, "--json")
    same(re.sub(r"[^ \"]*a\.ibbundle!/catalog/\d+-", "", got.out)
         .replace("builtin.json", "built-in driver catalog"),
         want.out.replace(world.dir + "/", ""), "resolve from the bundle")
    world.ibbake("sizes", "--bundle", bundle, "--json").mentions("as our site has it")


def e2e_bundle_wim(world):
    """All images of a WIM from one bundle; it is read once."""
    wim, _ = build(world, "install.wim")
    world.package()
    bundle, out = world.path("a.ibbundle"), world.path("out.wim")
    create(world, bundle, "--os", "win11-22h2", "--os", "win11-23h2", "--allow-unsupported")
    r = world.ibbake("bake", wim, "--image", "all", "--size", SIZE, "--allow-unsupported",
                     "--bundle", bundle, "-o", out)
    doc = manifest(out)
    same((doc["options"]["bundle"]["path"], doc["options"]["bundle"]["sha256"]),
         (bundle, digest(bundle)), "manifest")
    same(sum(len(i.get("packages", [])) for i in doc["images"]), 2, f"packages\n{r}")
    world.ibbake("verify", out, "--manifest", out + ".manifest.json", "--bundle", bundle)
    same([n for n in os.listdir(world.dir) if n.startswith(("ibbake-", "."))], [], "left behind")


def e2e_bundle_packages(world):
    """drivers add and drivers check, resolve and sizes from a bundle alone."""
    image, bundle, out = world.image(*SMALL), world.path("a.ibbundle"), world.path("out.vhd")
    world.package()
    create(world, bundle)
    shutil.rmtree(world.path("package"))
    world.ibbake("drivers", "check", *world.anchor, "--bundle", bundle, "--os", OS).mentions(
        bundle + "!/packages/ibbdemo-1.0.0.0/ibbdemo.inf", "trust-anchor")
    world.ibbake("drivers", "add", *world.anchor, image.path, "--bundle", bundle, "-o", out)
    same(manifest(out)["options"]["bundle"]["sha256"], digest(bundle), "manifest")
    world.ibbake("resolve", "--size", SIZE, "--os", OS, "--bundle", bundle).mentions("validated")
    world.ibbake("sizes", "--bundle", bundle).mentions(SIZE)


def e2e_bundle_durable(world):
    """Every file and directory is on the disk before the directory has its name, and then that is."""
    tool = find_tool("strace")
    if not tool:
        raise Skip("strace is not installed")
    if world.run([tool, "-f", "-qq", "true"], rc=None).rc:
        raise Skip("nothing can be traced here")
    world.package()
    bundle, directory, log = world.path("a.ibbundle"), world.path("dir"), world.path("trace")
    create(world, bundle)
    env = {"ASAN_OPTIONS": ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"),
                                                  "detect_leaks=0"]))}
    world.run([tool, "-f", "-qq", "-y", "-e", "trace=fsync,rename,renameat,renameat2", "-o", log,
               world.args.ibbake, "bundle", "unpack", bundle, "-o", directory], env=env)
    with open(log, encoding="utf-8", errors="replace") as f:
        calls = [x for x in f.read().splitlines() if "fsync(" in x or "rename" in x]
    at = next(i for i, x in enumerate(calls) if "rename" in x)
    found = {re.search(r"/\.ibbake-\w{6}(/[^>]*)?>", x).group(1) or "" for x in calls[:at]}
    want = {os.path.relpath(os.path.join(t, n), directory)
            for t, ds, fs in os.walk(directory) for n in ds + fs}
    same(found, {""} | {"/" + x for x in want}, "what was flushed")
    same([re.search(r"<(.*?)>", x).group(1) for x in calls[at + 1:]], [world.dir], "and behind")


def e2e_no_sockets(world):
    """strace sees no network call in anything that is not fetch."""
    tool = find_tool("strace")
    if not tool:
        raise Skip("strace is not installed")
    if world.run([tool, "-f", "-qq", "true"], rc=None).rc:
        raise Skip("nothing can be traced here")
    image, bundle, out = world.image(*SMALL), world.path("a.ibbundle"), world.path("out.vhd")
    package, (secret, public) = world.package(), keys(world)
    anchor, log = world.anchor, world.path("trace")
    make = ["--size", SIZE, "--os", OS, "--drivers", package, "--sign-key", secret]
    took = []
    # LeakSanitizer cannot work under a tracer
    env = {"ASAN_OPTIONS": ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"),
                                                  "detect_leaks=0"]))}
    for args in (["bundle", "create", *anchor, *make, "-o", bundle],
                 ["bundle", "check", bundle, "--bundle-key", public],
                 ["bundle", "unpack", bundle, "-o", world.path("dir")],
                 ["inspect", image.path],
                 ["plan", *anchor, image.path, "--size", SIZE, "--bundle", bundle],
                 ["bake", *anchor, image.path, "--size", SIZE, "--bundle", bundle, "-o", out],
                 ["bake", *anchor, image.path, "--size", SIZE, "--drivers", package, "-o", out,
                  "--overwrite"],
                 ["verify", out, "--manifest", out + ".manifest.json"],
                 ["drivers", "list", out], ["drivers", "check", *anchor, package, "--os", OS]):
        world.run([tool, "-f", "-qq", "-e", "trace=%network,openat", "-o", log, world.args.ibbake,
                   *args], env=env)
        with open(log, encoding="utf-8", errors="replace") as f:
            lines = f.read().splitlines()
        check(any("openat(" in x for x in lines), f"{args}: strace saw nothing at all")
        calls = [x for x in lines if not re.search(r"openat\(|openat resumed|\+\+\+|---", x)]
        same(calls, [], f"network calls of ibbake {' '.join(args[:2])}")
        took.append(args[0])
    same(len(took), 10, "commands traced")


def e2e_bundle_real(world):
    """The real WinOF-2 package for HB120rs_v3 on Windows Server 2022, without any test root."""
    package, image = world.data("drivers/mlx5-24.4.26429"), world.image(*SMALL)
    bundle, out = world.path("a.ibbundle"), world.path("out.vhd")
    world.trust = False
    r = world.ibbake("bundle", "create", "--size", SIZE, "--os", OS, "--drivers", package, "-o",
                     bundle)
    r.mentions("mlx5.inf 24.4.26429.0", "whql", "signed     by nobody")
    check("TEST TRUST" not in r.out and "WEAKENED" not in r.out, f"trust\n{r}")
    world.ibbake("bundle", "check", bundle).mentions("server2022", SIZE)
    world.ibbake("bake", image.path, "--size", SIZE, "--bundle", bundle, "-o", out)
    doc = manifest(out)
    same((doc["signature"], doc["packages"][0]["inf"]), ("verified", "mlx5.inf"), "manifest")
    world.ibbake("verify", out, "--manifest", out + ".manifest.json").mentions(": 0 differences")
