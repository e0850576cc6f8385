# SPDX-License-Identifier: GPL-3.0-or-later
"""What every end-to-end case needs: a directory of its own, images and packages made on the spot,
ibbake run as an ordinary user, independent readers of the result."""
import errno
import hashlib
import json
import os
import shutil
import struct
import subprocess
import tempfile

USER = 65534
CATROOT = "Windows/System32/CatRoot/{F750E6C3-38EE-11D1-85E5-00C04FC295EE}"
STORE = "Windows/System32/DriverStore/FileRepository"
CONFIG = "Windows/System32/config"
SIZE = "Standard_HB120rs_v3"
IB_ID = r"PCI\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00"
DEFAULT_DATA = "../shared/data"


class Skip(Exception):
    pass


class Failure(AssertionError):
    pass


def check(ok, text):
    if not ok:
        raise Failure(text)


def same(got, want, what):
    check(got == want, f"{what}: got {got!r}, want {want!r}")


def find_tool(name):
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    return shutil.which(name, path=path)


class Result:
    def __init__(self, argv, done):
        self.argv, self.rc = argv, done.returncode
        self.out, self.err = done.stdout, done.stderr

    def __str__(self):
        return (f"$ {' '.join(self.argv)}\nexit status {self.rc}\n--- stdout\n{self.out[-4000:]}"
                f"\n--- stderr\n{self.err[-4000:]}")

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as e:
            raise Failure(f"stdout is no JSON document ({e})\n{self}") from None

    def says(self, *texts):
        """Each text stands somewhere in the talk, in any case."""
        for text in texts:
            check(text.lower() in self.err.lower(), f"stderr does not say '{text}'\n{self}")
        return self

    def mentions(self, *texts):
        both = (self.out + self.err).lower()
        for text in texts:
            check(text.lower() in both, f"the output does not mention '{text}'\n{self}")
        return self


def is_wim(path):
    """A WIM, also a pipable one, whatever its name."""
    try:
        with open(path, "rb") as f:
            return f.read(8) in (b"MSWIM\0\0\0", b"WLPWM\0\0\0")
    except OSError:
        return False


def data_runs(fd, start, end):
    """[(offset, length)] of what is not a hole."""
    at = start
    while at < end:
        try:
            data = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as e:
            if e.errno == errno.ENXIO:
                return
            raise
        if data >= end:
            return
        hole = min(os.lseek(fd, data, os.SEEK_HOLE), end)
        yield data, hole - data
        at = hole


def chunks(fd, off, length, step=1 << 20):
    while length:
        b = os.pread(fd, min(step, length), off)
        check(b, f"short read at {off}")
        yield off, b
        off += len(b)
        length -= len(b)


def content_digest(path):
    """Digest of a sparse file's content: 64 KiB chunks that are not all zero, with their place, so
    that two files of the same bytes agree however their holes lie."""
    step = 1 << 16
    zero = bytes(step)
    h = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(fd).st_size
        last = -1
        for off, length in data_runs(fd, 0, size):
            first = off // step
            for i in range(max(first, last + 1), (off + length + step - 1) // step):
                b = os.pread(fd, step, i * step)
                last = i
                if b != zero[:len(b)]:
                    h.update(struct.pack("<QI", i, len(b)))
                    h.update(b)
        h.update(struct.pack("<Q", size))
    finally:
        os.close(fd)
    return h.hexdigest()


class Snapshot:
    """Everything about a file that ibbake must leave alone."""

    def __init__(self, path, content=True):
        st = os.stat(path)
        self.path = path
        self.meta = (st.st_ino, st.st_size, st.st_mtime_ns, st.st_mode, st.st_nlink)
        self.digest = content_digest(path) if content else None

    def unchanged(self):
        now = Snapshot(self.path, content=self.digest is not None)
        same(now.meta, self.meta, f"{self.path}: inode, size, mtime, mode, links")
        same(now.digest, self.digest, f"{self.path}: content")


def edited_image(args):
    """(the image that a command line writes a Windows into, the image it comes from)"""
    if args[:1] == ["bake"]:
        rest = args[1:]
    elif args[:2] in (["drivers", "add"], ["drivers", "remove"]):
        rest = args[2:]
    else:
        return None, None
    behind_anchor = rest[2:] if rest[:1] == ["--trust-anchor"] else rest
    source = next((a for a in behind_anchor if not a.startswith("-")), None)
    if source is None or "--dry-run" in rest:
        return None, None
    if "--in-place" in rest:
        return source, source
    for option in ("-o", "--output"):
        if option in rest[:-1]:
            return rest[rest.index(option) + 1], source
    return None, None


class Image:
    def __init__(self, path, layout):
        self.path, self.layout = path, layout

    def partition(self, role="windows"):
        for p in self.layout["partitions"]:
            if p["role"] == role:
                return p
        raise Failure(f"{self.path}: no partition '{role}'")

    def at(self, path):
        """The same layout in another file."""
        return Image(path, self.layout)


class World:
    def __init__(self, args):
        self.args = args
        self.dir = tempfile.mkdtemp(prefix="ibbake-e2e-", dir=os.environ.get("TMPDIR") or None)
        self.counter = 0
        self.notes = []
        self.volumes_checked = 0  # after an edit
        self.side = tempfile.mkdtemp(prefix="ibbake-e2e-", dir=os.environ.get("TMPDIR") or None)
        self.root = None   # certificate of the root of generated packages, once it is needed
        self.trust = True  # in the root of generated packages
        self._drop_privileges()

    def check_tools(self):
        args = self.args
        for tool in (args.ibbake, args.mkimage, args.extract, args.mkpkg, args.ntfscheck):
            if not os.access(tool, os.X_OK):
                raise Skip(f"an ordinary user cannot run {tool}")

    def _drop_privileges(self):
        """From here on everything is done as an ordinary user: ibbake needs no more."""
        if os.getuid() == 0:
            os.chown(self.dir, USER, USER)
            os.chown(self.side, USER, USER)
            os.setgroups([])
            os.setresgid(USER, USER, USER)
            os.setresuid(USER, USER, USER)
        os.umask(0o022)
        os.chdir(self.dir)
        self.env = {k: v for k, v in os.environ.items()
                    if k not in ("SOURCE_DATE_EPOCH", "IBBAKE_CATALOG")}
        self.env.update(HOME=self.dir, TMPDIR=self.dir, LC_ALL="C.UTF-8", TZ="UTC")

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        shutil.rmtree(self.side, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def fresh(self, suffix=""):
        self.counter += 1
        return self.path(f"f{self.counter}{suffix}")

    # ---- running ----

    def run(self, argv, rc=0, env=None, timeout=120):
        e = dict(self.env)
        e.update(env or {})
        done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", env=e,
                              timeout=timeout, cwd=self.dir)
        r = Result([str(a) for a in argv], done)
        if rc is not None:
            want = rc if isinstance(rc, tuple) else (rc,)
            check(r.rc in want, f"exit status {r.rc}, want {rc}\n{r}")
        return r

    def preload(self, name, **env):
        """The environment that loads a library of the tests into ibbake."""
        lib = os.path.join(os.path.dirname(self.args.mkimage), name + ".so")
        check(os.path.exists(lib), f"{lib} was not built")
        env = {"LD_PRELOAD": lib, **env}
        r = self.run([self.args.ibbake, "--version"], rc=None, env=env)
        if r.rc:
            raise Skip("nothing can be preloaded into this build (sanitizers)")
        return env

    @property
    def anchor(self):
        """The options that make ibbake trust the generated packages."""
        if not self.root:
            self.root = os.path.join(self.side, "root.pem")
            self.run([self.args.mkpkg, "--root", self.root, self.side])
        return ["--trust-anchor", self.root]

    def trusting(self, args):
        """Generated packages are signed by a test root; what is about real trust says so itself."""
        takes = args[:1] in (["plan"], ["bake"]) or args[:2] == ["drivers", "add"]
        if not takes or not self.trust or "--trust-anchor" in args:
            return args
        return [args[0], *self.anchor, *args[1:]]

    def ibbake(self, *args, rc=0, env=None, timeout=120):
        edited, source = edited_image([str(a) for a in args])
        # in place: what it was like must be looked at now; what cannot be read will be refused
        before = self.ntfs_errors(source, rc=(0, 3, 255)) if edited and edited == source else None
        r = self.run([self.args.ibbake, *self.trusting(list(args))], rc=rc, env=env,
                     timeout=timeout)
        check("runtime error" not in r.err and "Sanitizer" not in r.err, f"sanitizer report\n{r}")
        if edited and r.rc == 0:
            self.not_worse(edited, source, before)
        return r

    def ntfs_errors(self, path, rc=(0, 3)):
        """What our checker for NTFS says against the volumes of an image, or wimlib of a WIM."""
        if is_wim(path):
            tool = self.oracle("wimlib-imagex")
            return {"damaged"} if tool and self.run([tool, "verify", path], rc=None).rc else set()
        r = self.run([self.args.ntfscheck, path, "--all", "--json"], rc=rc)
        if r.rc == 255:
            return set()
        found = {(f["code"], f["place"], f["first"], f["n"]) for f in r.json()["findings"]
                 if f["kind"] == "error"}
        same(bool(found), r.rc == 3, "exit status of ibb-ntfscheck")
        return found

    def not_worse(self, edited, source, before=None):
        """An edit leaves no error in a volume that its source does not have."""
        after = self.ntfs_errors(edited)
        if after and before is None:
            before = self.ntfs_errors(source)
        worse = sorted(after - (before or set()))
        check(not worse, f"{edited}: the volume is not sound any more: {worse[:20]}")
        self.volumes_checked += 1

    def listing(self):
        found = set()
        for top, dirs, files in os.walk(self.dir):
            for n in dirs + files:
                found.add(os.path.relpath(os.path.join(top, n), self.dir))
        return found

    def refused(self, args, rc, *texts, env=None):
        """ibbake ARGS ends with status rc and one clear error holding the texts; no file comes,
        goes or stays behind."""
        self.anchor
        before = self.listing()
        r = self.ibbake(*args, rc=rc, env=env)
        errors = [x for x in r.err.splitlines() if x.startswith("ibbake: ")
                  and not x.startswith(("ibbake: hint:", "ibbake: warning:"))]
        check(len(errors) >= 1, f"no line 'ibbake: ...' on stderr\n{r}")
        r.says(*texts)
        after = self.listing()
        same(sorted(after - before), [], f"files left behind\n{r}\n")
        # the lock file of a killed process may go
        gone = [n for n in before - after if not n.endswith(".ibbake-lock")]
        same(sorted(gone), [], f"files removed\n{r}\n")
        return r

    # ---- material ----

    def image(self, *options, name="base.vhd", env=None):
        path = self.path(name)
        r = self.run([self.args.mkimage, path, *options], env=env)
        return Image(path, json.loads(r.out))

    def package(self, *options, name="package"):
        path = self.path(name)
        self.run([self.args.mkpkg, *options, path])
        return path

    def data(self, rel):
        """A file of the real material, or skip."""
        top = os.environ.get("IBB_TEST_DATA") or os.path.join(self.args.source, DEFAULT_DATA)
        path = os.path.join(top, rel)
        if os.path.exists(path):
            return path
        check(os.environ.get("IBB_REQUIRE_DATA") != "1",
              f"IBB_REQUIRE_DATA=1, but {path} is missing")
        raise Skip(f"no real material ({rel})")

    def oracle(self, name):
        path = find_tool(name)
        if not path:
            self.notes.append(f"{name} is not installed: not asked")
        return path

    # ---- looking into results ----

    def partition_file(self, image, role="windows"):
        """The partition as a sparse file of its own, for tools that know no disks."""
        p = image.partition(role)
        out = self.fresh(".ntfs")
        src = os.open(image.path, os.O_RDONLY)
        dst = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            os.ftruncate(dst, p["length"])
            for off, length in data_runs(src, p["offset"], p["offset"] + p["length"]):
                for at, b in chunks(src, off, length):
                    os.pwrite(dst, b, at - p["offset"])
        finally:
            os.close(src)
            os.close(dst)
        return out

    def extract(self, image, *paths, role="windows"):
        dest = self.fresh(".d")
        self.run([self.args.extract, image.path, image.partition(role)["number"], dest,
                  *(paths or ["Windows"])])
        return dest

    def describe(self, image, *paths, role="windows"):
        """{path: (size, attributes, time, security id, descriptor)}"""
        r = self.run([self.args.extract, image.path, image.partition(role)["number"], "-", *paths])
        found = {}
        for line in r.out.splitlines():
            size, attributes, time, sid, sd, path = line.split(" ", 5)
            found[path] = (int(size), int(attributes, 16), int(time), int(sid), sd)
        return found

    def ntfscat(self, part, path):
        """A file of an NTFS volume, read by ntfs-3g's own program; bytes or None."""
        tool = find_tool("ntfscat")
        check(tool, "ntfscat is not installed (package ntfs-3g)")
        done = subprocess.run([tool, "-f", part, path], capture_output=True, env=self.env)
        return done.stdout if done.returncode == 0 else None

    def sound_ntfs(self, part):
        """ntfsresize finds cluster leaks and damage that ntfsfix does not see."""
        self.run([find_tool("ntfsresize"), "--info", "--force", "--no-progress-bar", part])
        self.run([find_tool("ntfsfix"), "-n", part])

    def sound_hive(self, path):
        """Everybody who reads hives reads this one."""
        tool = self.oracle("hivexsh")
        if tool:
            r = subprocess.run([tool, path], input="ls\nquit\n", capture_output=True, text=True,
                               env=self.env)
            check(r.returncode == 0 and r.stdout.strip(), f"hivexsh {path}: {r.stderr}")
        tool = self.oracle("regfexport")
        if tool:
            r = self.run([tool, path])
            check("Key path" in r.out or "Path:" in r.out or len(r.out) > 500,
                  f"regfexport {path} printed nothing\n{r}")
        tool = self.oracle("reged")
        if tool:
            out = self.fresh(".reg")
            self.run([tool, "-x", path, "PREFIX", "\\", out], rc=None)
            check(os.path.exists(out) and os.path.getsize(out) > 200,
                  f"reged cannot export {path}")


# ---- hives, read by code that is not ibbake's ----

class Hive:
    """A small reader of its own, for asserting on values. Follows msuhanov/regf."""

    def __init__(self, data):
        check(data[:4] == b"regf", "no regf signature")
        self.b = data
        self.root = self.u32(36)

    def u16(self, off):
        return struct.unpack_from("<H", self.b, off)[0]

    def u32(self, off):
        return struct.unpack_from("<I", self.b, off)[0]

    @property
    def sequences(self):
        return self.u32(4), self.u32(8)

    def cell(self, rel):
        return 4096 + rel + 4

    def name(self, nk):
        n = self.u16(nk + 72)
        raw = self.b[nk + 76:nk + 76 + n]
        return raw.decode("latin-1") if self.u16(nk + 2) & 0x20 else raw.decode("utf-16le")

    def _list(self, rel):
        at = self.cell(rel)
        kind, n = self.b[at:at + 2], self.u16(at + 2)
        for i in range(n):
            if kind == b"ri":
                yield from self._list(self.u32(at + 4 + 4 * i))
            elif kind == b"li":
                yield self.u32(at + 4 + 4 * i)
            else:
                yield self.u32(at + 4 + 8 * i)

    def children(self, rel):
        nk = self.cell(rel)
        if self.u32(nk + 20):
            for kid in self._list(self.u32(nk + 28)):
                yield self.name(self.cell(kid)), kid

    def key(self, path):
        rel = self.root
        for part in path.split("\\"):
            for name, kid in self.children(rel):
                if name.lower() == part.lower():
                    rel = kid
                    break
            else:
                return None
        return rel

    def data(self, rel, size):
        """Of a value that is not resident; more than 16344 bytes lie in segments."""
        at = self.cell(rel)
        if size <= 16344:
            return self.b[at:at + size]
        n, segments = self.u16(at + 2), self.cell(self.u32(at + 4))
        parts = [self.cell(self.u32(segments + 4 * i)) for i in range(n)]
        return b"".join(self.b[p:p + 16344] for p in parts)[:size]

    def values(self, path):
        """{name: (type, data)} or None when there is no such key."""
        rel = self.key(path)
        return None if rel is None else self.values_of(rel)

    def values_of(self, rel):
        nk = self.cell(rel)
        found = {}
        for i in range(self.u32(nk + 36)):
            vk = self.cell(self.u32(self.cell(self.u32(nk + 40)) + 4 * i))
            n, size, typ = self.u16(vk + 2), self.u32(vk + 4), self.u32(vk + 12)
            raw = self.b[vk + 20:vk + 20 + n]
            name = raw.decode("latin-1") if self.u16(vk + 16) & 1 else raw.decode("utf-16le")
            if size & 0x80000000:
                data = self.b[vk + 8:vk + 8 + (size & 0x7fffffff)]
            else:
                data = self.data(self.u32(vk + 8), size)
            found[name] = (typ, data)
        return found

    def text(self, path, value):
        v = (self.values(path) or {}).get(value)
        return v[1].decode("utf-16le").rstrip("\0") if v else None

    def time(self, path):
        """When the key was written, a FILETIME."""
        return struct.unpack_from("<Q", self.b, self.cell(self.key(path)) + 4)[0]

    def everything(self, rel=None, path=""):
        """(path, security descriptor, values) of every key."""
        rel = self.root if rel is None else rel
        yield path, self.security_of(rel), self.values_of(rel)
        for name, kid in self.children(rel):
            yield from self.everything(kid, path + "\\" + name if path else name)

    def security(self, path):
        """The key's self-relative security descriptor."""
        return self.security_of(self.key(path))

    def security_of(self, rel):
        sk = self.cell(self.u32(self.cell(rel) + 44))
        return self.b[sk + 20:sk + 20 + self.u32(sk + 16)]

    def subkeys(self, path):
        rel = self.key(path)
        return None if rel is None else [name for name, _ in self.children(rel)]


def sids(sd):
    """(owner, group, [SIDs of the DACL]) of a security descriptor, as text."""
    def sid(at):
        n = sd[at + 1]
        subs = struct.unpack_from(f"<{n}I", sd, at + 8)
        return "S-1-" + "-".join(str(x) for x in (int.from_bytes(sd[at + 2:at + 8], "big"), *subs))

    owner, group, _, dacl = struct.unpack_from("<4I", sd, 4)
    at, found = dacl + 8, []
    for _ in range(struct.unpack_from("<H", sd, dacl + 4)[0]):
        found.append(sid(at + 8))
        at += struct.unpack_from("<H", sd, at + 2)[0]
    return sid(owner), sid(group), found


def oem_bits(data):
    return {8 * i + b for i, x in enumerate(data) for b in range(8) if x & (0x80 >> b)}
