# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing an image in place: the result, every interruption, and who keeps us from it."""
import fcntl
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time

from cases_bake import EPOCH, bake
from cases_input import SMALL
from powercut import Disk
from vhdchild import differencing_vhd
from world import SIZE, Skip, Snapshot, check, content_digest, find_tool, same

JOURNAL = ".ibbake-journal"


def command(world, image, package, *options):
    return ["bake", *world.anchor, image, "--size", SIZE, "--drivers", package, "--in-place",
            *options]


def in_place(world, image, package, *options, rc=0, env=None):
    return world.ibbake(*command(world, image, package, *options), rc=rc, env={**EPOCH,
                                                                               **(env or {})})


def refuse(world, image, package, *texts, options=(), rc=100):
    """Refused; nothing comes, goes, or changes."""
    before = Snapshot(image)
    world.refused(command(world, image, package, *options), rc, *texts, env=EPOCH)
    before.unchanged()


def copy_of(world, image, name):
    path = world.path(name)
    world.run(["cp", "--sparse=always", image.path, path])
    return path


def journal_of(path):
    return path + JOURNAL


def read_bytes(path):
    with open(path, "rb") as f:
        return f.read()


# ---- the result ----

def e2e_in_place(world):
    """The same bytes as a bake with -o; the inode, the mode and the holes stay."""
    package = world.package()
    for name, options in (("fixed.vhd", ()), ("raw.img", ()), ("mbr.vhd", ("--table", "mbr")),
                          ("bare.img", ("--table", "none")), ("4k.img", ("--sector", "4096"))):
        image = world.image("--size", "1GiB", *options, name=name)
        os.chmod(image.path, 0o640)
        out = world.path("out-" + name)
        raw = [] if name.endswith(".vhd") else ["--format", "raw"]
        bake(world, image, package, out, *raw, "--digest", "content")
        before = os.stat(image.path)
        r = in_place(world, image.path, package, "--digest", "content")
        r.mentions(f"output   {image.path}", image.path + ".manifest.json")
        same(content_digest(image.path), content_digest(out), f"{name}: content")
        after = os.stat(image.path)
        same((after.st_ino, after.st_mode), (before.st_ino, before.st_mode), "inode, mode")
        check(after.st_blocks - before.st_blocks < 64 << 11, "holes were filled")
        check(not os.path.exists(journal_of(image.path)), "the journal stayed")
        manifest = image.path + ".manifest.json"
        world.ibbake("verify", image.path, "--manifest", manifest)
        ours, theirs = json.loads(read_bytes(manifest)), json.loads(
            read_bytes(out + ".manifest.json"))
        same(ours["output"].pop("file"), name, "file of the manifest")
        theirs["output"].pop("file")
        same(ours.pop("writing"), {"format": "in-place", "sparse": "auto", "grown_bytes": "0"},
             "writing")
        theirs.pop("writing")
        same(ours, theirs, "the manifest")
        check(not ours["options"]["dry_run"], "the manifest says it was a dry run")
        in_place(world, image.path, package, "--overwrite").mentions("nothing to do")
        same(content_digest(image.path), content_digest(out), f"{name}: after the second bake")


def e2e_in_place_drivers(world):
    """drivers add and remove: there and back."""
    image, package = world.image(*SMALL), world.package()
    path = image.path
    lists = [["drivers", "list", path, "--json"]]
    before = world.ibbake(*lists[0]).json()["packages"]
    world.ibbake("drivers", "add", path, package, "--in-place", env=EPOCH)
    world.ibbake("verify", path, "--manifest", path + ".manifest.json")
    staged = world.ibbake(*lists[0]).json()["packages"]
    same(len(staged), len(before) + 1, "packages")
    name = [p["published"] for p in staged if p not in before][0]
    world.refused(["drivers", "remove", path, name, "--in-place"], 100, "exists", env=EPOCH)
    world.ibbake("drivers", "remove", path, name, "--in-place", "--overwrite", env=EPOCH)
    same(world.ibbake(*lists[0]).json()["packages"], before, "packages after the removal")
    world.sound_ntfs(world.partition_file(image))


def e2e_in_place_options(world):
    image, package = world.image(*SMALL), world.package()
    refuse(world, image.path, package, "-o and --in-place exclude", rc=2,
           options=("-o", world.path("out.vhd")))
    for options in (("--format", "raw"), ("--sparse", "always")):
        refuse(world, image.path, package, "no --format", rc=2, options=options)
    before = Snapshot(image.path)
    in_place(world, image.path, package, "--dry-run").mentions("nothing was written")
    before.unchanged()
    check(not os.path.exists(image.path + ".manifest.json"), "a dry run wrote a manifest")
    with open(image.path + ".manifest.json", "w") as f:
        f.write("precious")
    refuse(world, image.path, package, "manifest exists already")
    refuse(world, image.path, package, "itself", options=("--manifest", image.path,
                                                          "--overwrite"))
    refuse(world, image.path, package, "the name of the journal",
           options=("--manifest", journal_of(image.path)))
    same(read_bytes(image.path + ".manifest.json"), b"precious", "the old manifest")
    os.mkdir(world.path("elsewhere"))
    in_place(world, image.path, package, "--manifest", "elsewhere/m.json", "--lock", "lock.json")
    world.ibbake("verify", image.path, "--manifest", "elsewhere/m.json")
    same(json.loads(read_bytes(world.path("lock.json")))["schema"], "ibbake-lock/1", "lock file")
    in_place(world, image.path, package, "--no-manifest")
    world.ibbake("recover", image.path).mentions("nothing to do")
    world.ibbake("recover", world.path("missing.vhd"), rc=255)
    world.ibbake("recover", rc=2)


def e2e_in_place_manifest(world):
    """A manifest that cannot be written is no reason for a change that is not finished."""
    change = Change(world)
    path, elsewhere = change.path, world.path("elsewhere")
    os.mkdir(elsewhere)
    os.chmod(elsewhere, 0o500)
    refuse(world, path, change.package, "elsewhere", rc=255,
           options=("--manifest", "elsewhere/m.json"))
    os.chmod(elsewhere, 0o700)
    begin = next(i for i, op in enumerate(change.disk.ops)
                 if op.kind == "write" and op.ino == os.stat(path).st_ino)
    journal = next(op.ino for op in change.disk.ops if op.name.endswith(JOURNAL))
    # elsewhere, what happens to the manifest is not recorded
    begin -= sum(op.ino not in (journal, change.disk.dir_ino) and op.kind in ("write", "sync")
                 for op in change.disk.ops[:begin])
    for n, text in ((begin + 1, "is not finished: its manifest"),
                    (begin + len(change.ranges), "only its manifest is missing")):
        change.restore()
        change.run(n, options=("--manifest", "elsewhere/m.json"))
        os.chmod(elsewhere, 0o500)
        world.refused(["recover", path], 255, text, "recover --no-manifest")
        world.ibbake("recover", path, "--no-manifest", "--drop", rc=2)
        doc = world.ibbake("recover", path, "--no-manifest", "--json").json()
        same((doc["action"], doc["manifest"], doc["manifest_missing"]),
             ("finished", None, os.path.join(os.path.realpath(elsewhere), "m.json")), "recover")
        check(change.content() == change.new_bytes, "the image is not finished")
        os.chmod(elsewhere, 0o700)
        same(os.listdir(elsewhere), [], "beside the manifest")


def holes_under(change):
    """Bytes of holes that the change fills, in pages."""
    pages = {at // 4096 for off, n in change.ranges for at in range(off, off + n, 4096)}
    fd = os.open(change.old, os.O_RDONLY)
    n = 0
    for page in pages:
        try:
            n += os.lseek(fd, page * 4096, os.SEEK_DATA) >= (page + 1) * 4096
        except OSError:
            n += 1
    os.close(fd)
    return n * 4096


def e2e_in_place_no_room(world):
    """What would fail in the middle of the image is asked for before it is touched."""
    image, package = world.image(*SMALL), world.package()
    path = image.path
    small = ["sh", "-c", 'ulimit -f "$1"; shift; exec "$@"', "sh", "262000",
             world.args.ibbake]
    before = Snapshot(path)
    r = world.run([*small, *command(world, path, package, "--manifest", "m.json")], rc=255,
                  env=EPOCH)
    r.says("the limit for the size of files is", "ulimit -f")
    before.unchanged()
    same([n for n in os.listdir(world.dir) if JOURNAL in n or n == "m.json"], [], "left behind")

    # a file system with room for the journal, but not for what are holes of the image
    change = Change(world)
    journal = next(op.ino for op in change.disk.ops if op.name.endswith(JOURNAL))
    journal = sum(len(op.data) for op in change.disk.ops if op.ino == journal)
    size = (os.stat(change.old).st_blocks * 512 + journal + len(change.new_manifest) +
            holes_under(change) // 2)
    os.mkdir(world.path("m"))
    script = ('mount -t tmpfs -o size=$1 none m || exit 77; was=$2; '
              'cp --sparse=always "$was" m/d.vhd; shift 2; "$@"; rc=$?; '
              'cmp "$was" m/d.vhd && echo the same; ls -A m; exit $rc')
    r = world.run(["unshare", "-Urm", "sh", "-c", script, "sh", size, change.old,
                   world.args.ibbake, *command(world, "m/d.vhd", package)], rc=None, env=EPOCH)
    if r.rc in (1, 77):
        raise Skip("no tmpfs of our own here")
    same(r.rc, 255, f"exit status\n{r}")
    r.says("no room for what is a hole at offset")
    same(r.out, "the same\nd.vhd\n", "image and directory")


def e2e_in_place_mounted(world):
    """A container that has the image as a bind mount has another directory around it."""
    image, package = world.image(*SMALL), world.package()
    os.mkdir(world.path("c"))
    with open(world.path("c/disk.vhd"), "w"):
        pass
    kept = Snapshot(image.path)
    script = 'mount --bind "$1" c/disk.vhd || exit 77; shift; exec "$@"'
    for args in (command(world, "c/disk.vhd", package), ["recover", "c/disk.vhd"]):
        r = world.run(["unshare", "-Urm", "sh", "-c", script, "sh", image.path, world.args.ibbake,
                       *args], rc=None, env=EPOCH)
        if r.rc in (1, 77):
            raise Skip("no bind mounts here")
        same(r.rc, 100, f"exit status\n{r}")
        r.says("c/disk.vhd: is mounted here by itself", "mount its directory instead")
        same(os.listdir(world.path("c")), ["disk.vhd"], "beside the mount")
        kept.unchanged()
    # the directory as a whole is fine
    script = 'mount --bind . c || exit 77; shift; exec "$@"'
    r = world.run(["unshare", "-Urm", "sh", "-c", script, "sh", "-", world.args.ibbake,
                   *command(world, "c/" + os.path.basename(image.path), package)], env=EPOCH)


def e2e_in_place_refused_kinds(world):
    qemu, package = find_tool("qemu-img"), world.package()
    image = world.image(*SMALL)
    os.link(image.path, world.path("second"))
    refuse(world, image.path, package, "2 names", "-o")
    os.unlink(world.path("second"))
    if not qemu:
        raise Skip("qemu-img is not installed")
    raw = copy_of(world, image, "raw.img")
    os.truncate(raw, os.path.getsize(raw) - 512)
    for fmt, options, name in (("vpc", "subformat=dynamic,force_size=on", "dynamic.vhd"),
                               ("vhdx", "subformat=dynamic", "dynamic.vhdx"),
                               ("qcow2", "preallocation=off", "image.qcow2")):
        path = world.path(name)
        world.run([qemu, "convert", "-f", "raw", "-O", fmt, "-o", options, raw, path])
        refuse(world, path, package, name)


# ---- interruptions ----

class Change:
    """An image with its old and new content, and the record of the bake that leads there."""

    def __init__(self, world):
        self.world = world
        self.package = world.package()
        self.image = world.image(*SMALL, name="disk.vhd")
        os.mkdir(world.path("d"))
        self.path = world.path("d/disk.vhd")
        os.rename(self.image.path, self.path)
        self.image.path = self.path
        self.old = world.path("old.vhd")
        world.run(["cp", "--sparse=always", self.path, self.old])
        self.manifest = self.path + ".manifest.json"
        self.shim = os.path.join(os.path.dirname(world.args.mkimage), "ibb-powercut.so")
        check(os.path.exists(self.shim), f"{self.shim} was not built")
        self.old_manifest = read_bytes(self.first_manifest())
        self.put_old_manifest()
        self.record = world.path("record")
        world.anchor
        self.run(0)
        self.disk = Disk(world.path("d"), self.path, self.record)
        self.ranges = self.disk.touched()
        if not self.ranges:
            raise Skip("nothing can be preloaded into this build (sanitizers)")
        self.new_bytes = self.content()
        self.new_manifest = read_bytes(self.manifest)
        self.restore()
        self.old_digest = content_digest(self.old)
        same(content_digest(self.path), self.old_digest, "outside of the recorded writes")
        self.old_bytes = self.content()
        check(self.old_bytes != self.new_bytes, "nothing changed")

    def first_manifest(self):
        """A manifest as an earlier run may have left it."""
        out = self.world.path("first.vhd")
        bake(self.world, self.image, self.package, out, env={"SOURCE_DATE_EPOCH": "1700000000"})
        os.unlink(out)
        return out + ".manifest.json"

    def put_old_manifest(self):
        with open(self.manifest, "wb") as f:
            f.write(self.old_manifest)

    def recording(self):
        return {"LD_PRELOAD": self.shim, "IBB_RECORD_DIR": self.world.path("d"),
                "IBB_RECORD": self.record}

    def run(self, kill_after, more=None, options=()):
        env = {**self.recording(), **(more or {})}
        if kill_after:
            env["IBB_RECORD_KILL"] = str(kill_after)
        if os.path.exists(self.record):
            os.unlink(self.record)
        return in_place(self.world, self.path, self.package, "--overwrite", *options,
                        env=env, rc=(0, -signal.SIGKILL))

    def content(self):
        fd = os.open(self.path, os.O_RDONLY)
        try:
            return [os.pread(fd, n, off) for off, n in self.ranges]
        finally:
            os.close(fd)

    def restore(self):
        """As it was before, in the places that the change touches."""
        src, dst = os.open(self.old, os.O_RDONLY), os.open(self.path, os.O_WRONLY)
        for off, n in self.ranges:
            os.pwrite(dst, os.pread(src, n, off), off)
        os.close(src)
        os.close(dst)
        self.put_old_manifest()
        if os.path.exists(journal_of(self.path)):
            os.unlink(journal_of(self.path))

    def cut(self, n, fate, dice):
        """Make the directory what a power cut after n operations left."""
        self.restore()
        names, contents, image = self.disk.after(n, fate, dice)
        fd = os.open(self.path, os.O_WRONLY)
        for off, data in image:
            os.pwrite(fd, data, off)
        os.close(fd)
        for name, ino in names.items():
            path = os.path.join(self.world.path("d"), name)
            if ino is None:
                if os.path.exists(path):
                    os.unlink(path)
                continue
            with open(path, "wb") as f:
                os.chmod(path, 0o600)
                f.write(contents.get(ino, b""))

    def settled(self, what):
        """Recovered, it is the old image with the old manifest or the new one with the new."""
        if os.path.exists(journal_of(self.path)):
            done = self.world.ibbake("recover", self.path)
        else:
            done = "no journal"
        check(not os.path.exists(journal_of(self.path)), f"{what}: the journal stayed\n{done}")
        now = self.content()
        if now == self.new_bytes:
            same(read_bytes(self.manifest), self.new_manifest, f"{what}: manifest\n{done}\n")
            return "new"
        check(now == self.old_bytes, f"{what}: neither old nor new\n{done}")
        same(read_bytes(self.manifest), self.old_manifest, f"{what}: manifest\n{done}\n")
        return "old"


def e2e_in_place_power_cut(world):
    """The power goes after every operation of a real bake, and what no sync followed is lost, kept,
    or mixed down to single sectors: afterwards, or after recover, the image is the old or the new
    one, with its manifest."""
    change = Change(world)
    seed = int(os.environ.get("IBB_TEST_SEED", "20261120"))
    mixtures = int(os.environ.get("IBB_POWER_CUTS", "1"))
    dice, ended, n_states = random.Random(seed), {"old": 0, "new": 0}, 0
    ops = len(change.disk.ops)
    for n in range(ops + 1):
        for fate in ["lost", "kept"] + ["mixed"] * mixtures:
            change.cut(n, fate, dice)
            ended[change.settled(f"seed {seed}, after {n} of {ops}, {fate}")] += 1
            n_states += 1
    check(ended["old"] and ended["new"], f"{ended}")
    change.restore()
    same(content_digest(change.path), change.old_digest, "recovery wrote elsewhere")
    world.notes.append(f"{ops} operations, {n_states} states: {ended}")


def e2e_in_place_killed_and_power_cut(world):
    """Killed before the journal's trailer was synced, then recovered from what the page cache shows,
    and the power goes while recover is at work."""
    change = Change(world)
    dice, ended = random.Random(20261120), {"old": 0, "new": 0}
    ino, ops = os.stat(change.path).st_ino, change.disk.ops
    trailer = max(i for i, op in enumerate(ops) if op.data[:8] == b"ibbakeRT")
    change.run(trailer + 1)
    world.ibbake("recover", change.path, env=change.recording())
    check(change.content() == change.new_bytes, "recover did not finish it")
    change.disk = Disk(world.path("d"), change.path, change.record)
    ops = change.disk.ops
    check(any(op.ino == ino and op.kind == "write" for op in ops[trailer + 1:]), "no recovery")
    for n in range(trailer + 1, len(ops) + 1):
        for fate in ("lost", "mixed"):
            change.cut(n, fate, dice)
            ended[change.settled(f"cut after {n} of {len(ops)}, {fate}")] += 1
    check(ended["old"] and ended["new"], f"{ended}")
    world.notes.append(f"{len(ops)} operations: {ended}")


def e2e_in_place_killed_at_each_step(world):
    """kill -9 after every single operation; every command meets the journal."""
    change = Change(world)
    ended = {"old": 0, "new": 0}
    met = 0
    for n in range(1, len(change.disk.ops) + 1):
        change.restore()
        change.run(n)
        if os.path.exists(journal_of(change.path)) and met < 1:
            met += 1
            journal_is_met(world, change)
        ended[change.settled(f"killed after {n}")] += 1
    check(ended["old"] and ended["new"] and met, f"{ended}")
    world.sound_ntfs(world.partition_file(change.image))
    world.notes.append(f"{len(change.disk.ops)} kills: {ended}")


def journal_is_met(world, change):
    path, kept = change.path, Snapshot(change.path)
    package = change.package
    os.symlink(path, world.path("alias.vhd"))
    for image in (path, world.path("alias.vhd")):
        for args in (["inspect", image], ["plan", image, "--size", SIZE, "--drivers", package],
                     ["bake", image, "--size", SIZE, "--drivers", package, "-o",
                      world.path("out.vhd")],
                     ["bake", image, "--size", SIZE, "--drivers", package, "--dry-run"],
                     command(world, image, package, "--overwrite"),
                     ["verify", image, "--manifest", change.manifest],
                     ["drivers", "list", image], ["drivers", "add", image, package, "--in-place",
                                                  "--overwrite"],
                     ["drivers", "remove", image, "oem0.inf", "-o", world.path("out.vhd")]):
            world.refused(args, 100, journal_of(path), "ibbake recover")
    os.unlink(world.path("alias.vhd"))
    kept.unchanged()


def e2e_in_place_killed(world):
    """kill -9 at any moment, without a record."""
    package = world.package()
    image = world.image("--size", "1GiB")
    path, manifest = image.path, image.path + ".manifest.json"
    old = copy_of(world, image, "old.vhd")
    began = time.monotonic()
    in_place(world, path, package)
    whole = time.monotonic() - began
    digests = {content_digest(old): "old", content_digest(path): "new"}
    dice = random.Random(20261120)
    ended = {"old": 0, "new": 0}
    for _ in range(int(os.environ.get("IBB_KILLS", "12"))):
        world.run(["cp", "--sparse=always", old, path])
        if os.path.exists(manifest):
            os.unlink(manifest)
        p = subprocess.Popen([world.args.ibbake, *command(world, path, package)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, env={**world.env, **EPOCH})
        time.sleep(dice.uniform(0, whole))
        p.send_signal(signal.SIGKILL)
        p.wait()
        if p.returncode == 0:
            whole *= 0.8
        world.ibbake("recover", path)
        state = digests.get(content_digest(path))
        check(state, "neither the old image nor the new one")
        same(os.path.exists(manifest), state == "new", "there is a manifest")
        ended[state] += 1
    world.notes.append(f"{ended}")


def e2e_recover(world):
    """What recover says of each state; --drop; a journal of another image."""
    change = Change(world)
    path = change.path
    begin = next(i for i, op in enumerate(change.disk.ops)
                 if op.kind == "write" and op.ino == os.stat(path).st_ino)
    dice = random.Random(1)

    change.cut(begin, "kept", dice)
    doc = world.ibbake("recover", path, "--drop", "--json").json()
    same((doc["state"], doc["action"], doc["manifest"]), ("complete", "dropped", None), "--drop")
    same(change.settled("dropped"), "old", "after --drop")

    change.cut(begin + 2, "kept", dice)
    kept = Snapshot(path)
    world.refused(["recover", path, "--drop"], 100, "written already", "without --drop")
    kept.unchanged()
    doc = world.ibbake("recover", path, "--json").json()
    same((doc["state"], doc["action"], doc["manifest"], doc["journal"]),
         ("complete", "finished", os.path.basename(change.manifest), journal_of(path)), "recover")
    check(int(doc["sectors_written_before"]) > 0 and int(doc["sectors_written_now"]) > 0, doc)
    same(change.settled("finished"), "new", "after recover")
    world.ibbake("verify", path, "--manifest", change.manifest)

    change.cut(4, "kept", dice)
    doc = world.ibbake("recover", path, "--json").json()
    same((doc["state"], doc["action"]), ("incomplete", "dropped"), "an incomplete journal")

    # somebody wrote into a place that the change covers
    change.cut(begin, "kept", dice)
    off = change.ranges[0][0]
    with open(path, "r+b") as f:
        f.seek(off + 100)
        f.write(b"foreign bytes")
    kept = Snapshot(path)
    for options in ((), ("--drop",)):
        world.refused(["recover", path, *options], 100, f"offset {off}", "neither")
    kept.unchanged()

    # the same journal beside another image
    change.cut(begin, "kept", dice)
    for other, differs in ((foreign_id(world, change), "the unique ID of the VHD differs"),
                           (world.image(*SMALL, "--seed", "2", name="seed.vhd").path, "differs"),
                           (world.image("--size", "257MiB", name="larger.vhd").path,
                            "the size differs"),
                           (world.image(*SMALL, name="image.raw").path, "differs")):
        shutil.copy(journal_of(path), journal_of(other))
        os.chmod(journal_of(other), 0o600)
        kept = Snapshot(other)
        for options in ((), ("--drop",)):
            world.refused(["recover", other, *options], 100, "belongs to another image", differs)
        kept.unchanged()


def e2e_recover_modes(world):
    """A file system that shows every file as everybody's, or as another user's."""
    change = Change(world)
    path = change.path
    shown = {**change.recording(), "IBB_SHOW_MODE": "777"}
    trailer = max(i for i, op in enumerate(change.disk.ops) if op.data[:8] == b"ibbakeRT")
    change.run(trailer + 1, {"IBB_SHOW_MODE": "777"})
    kept = Snapshot(path)
    world.ibbake("recover", path, env=shown).mentions("finished")
    check(change.content() == change.new_bytes, "it was not finished")

    # only the journal is everybody's: its header says what it is, so nobody is told to remove it
    change.restore()
    change.run(trailer + 1)
    os.chmod(journal_of(path), 0o666)
    kept = Snapshot(path)
    r = world.refused(["recover", path], 100, "others may write to it", "keep it", "chmod 600")
    check("remove" not in r.err, r)
    kept.unchanged()
    os.chmod(journal_of(path), 0o600)
    with open(journal_of(path), "r+b") as f:
        f.write(b"something else")
    os.chmod(journal_of(path), 0o666)
    world.refused(["recover", path], 100, "others may write to it", "move it away")
    os.unlink(journal_of(path))

    # a journal that recover would not take is not begun
    kept = Snapshot(path)
    world.refused(command(world, path, change.package, "--overwrite"), 100,
                  "a journal made there belongs to another user", "-o",
                  env={**EPOCH, **change.recording(), "IBB_SHOW_UID": "54321"})
    kept.unchanged()
    check(not os.path.exists(journal_of(path)), "the journal stayed")


def foreign_id(world, change):
    """The same image with another unique ID in its footer."""
    path = world.path("other.vhd")
    world.run(["cp", "--sparse=always", change.old, path])
    with open(path, "r+b") as f:
        f.seek(-512, os.SEEK_END)
        footer = bytearray(f.read(512))
        footer[68] ^= 0xff
        footer[64:68] = bytes(4)
        footer[64:68] = struct.pack(">I", ~sum(footer) & 0xffffffff)
        f.seek(-512, os.SEEK_END)
        f.write(footer)
    return path


# ---- in use ----

class Opened:
    """Another program has the image open."""

    def __init__(self, world, *argv, ready=0.0):
        self.p = subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  env=world.env, cwd=world.dir)
        time.sleep(ready)

    def __enter__(self):
        return self.p

    def __exit__(self, *_):
        self.p.kill()
        self.p.wait()
        self.p.stdin.close()
        self.p.stdout.close()


def e2e_in_place_in_use(world):
    image, package = world.image(*SMALL), world.package()
    path = image.path
    with open(path, "rb") as f:
        fcntl.flock(f, fcntl.LOCK_SH)
        refuse(world, path, package, "flock")
    with open(path, "rb") as f:
        refuse(world, path, package, "another program has it open")
        world.ibbake("inspect", path)
    # not by ourselves: whoever closes the file anywhere in a process gives its fcntl locks up
    hold = ("import fcntl,sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX, 1, 0); "
            "print(flush=True); sys.stdin.read()")
    with Opened(world, sys.executable, "-c", hold, path) as p:
        p.stdout.readline()
        refuse(world, path, package, f"process {p.pid} holds a lock")
    tool = find_tool("flock")
    if tool:
        with Opened(world, tool, "--shared", path, "sh", "-c", "echo; sleep 60") as p:
            p.stdout.readline()
            refuse(world, path, package, "flock")
            p.send_signal(signal.SIGTERM)
            world.run(["fuser", "-k", path], rc=None) if find_tool("fuser") else None
    for _ in range(100):  # a child of flock may hold it for a moment
        with open(path, "rb") as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.1)
    else:
        return
    in_place(world, path, package)


def e2e_in_place_overwritten(world):
    """One ibbake changes the image, another one is told to replace it."""
    package, path = world.package(), world.image(*SMALL, name="disk.vhd").path
    other, lock = world.image(*SMALL, name="other.vhd"), world.path(".disk.vhd.ibbake-lock")
    with open(lock, "w") as f:  # as one has it that writes its output
        fcntl.flock(f, fcntl.LOCK_EX)
        kept = Snapshot(path)
        world.ibbake(*command(world, path, package), rc=100, env=EPOCH).says(
            "another ibbake is writing it")
        os.symlink("disk.vhd", world.path("alias.vhd"))
        world.ibbake(*command(world, "alias.vhd", package), rc=100, env=EPOCH).says(
            "another ibbake is writing it")
        kept.unchanged()
    os.unlink(lock)
    # and the other way round: stopped in the middle of a change
    shim = os.path.join(os.path.dirname(world.args.mkimage), "ibb-powercut.so")
    env = {"LD_PRELOAD": shim, "IBB_RECORD_DIR": world.dir, "IBB_RECORD_STOP": "6"}
    p = subprocess.Popen([world.args.ibbake, *command(world, path, package)],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, env={**world.env, **EPOCH, **env},
                         cwd=world.dir)
    try:
        if not os.WIFSTOPPED(os.waitpid(p.pid, os.WUNTRACED)[1]):
            raise Skip("nothing can be preloaded into this build (sanitizers)")
        world.ibbake("convert", other.path, "-o", path, "--overwrite", rc=100).says(
            "another ibbake is writing it")
        kept.unchanged()
    finally:
        p.send_signal(signal.SIGKILL)
        p.wait()
    world.ibbake("recover", path)
    check(not os.path.exists(lock), "the lock file stayed")
    in_place(world, path, package)


def wait_for(world, path, begin):
    """qemu takes its locks when it is ready: byte 100 tells."""
    for _ in range(200):
        with open(path, "rb") as f:
            l = fcntl.fcntl(f, 36, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, begin, 1, 0))
            if struct.unpack_from("h", l)[0] != fcntl.F_UNLCK:
                return
        time.sleep(0.02)
    raise Skip("qemu takes no locks here")


def e2e_in_place_qemu(world):
    """A real qemu: one that reads is in the way of a change, one that writes of everything."""
    io, nbd = find_tool("qemu-io"), find_tool("qemu-nbd")
    if not io or not nbd:
        raise Skip("qemu-io or qemu-nbd is not installed")
    image, package = world.image(*SMALL), world.package()
    path = image.path
    for argv, writer in (([io, "-r", "-f", "raw", path], False), ([io, "-f", "raw", path], True),
                         ([nbd, "-r", "-t", "-f", "raw", "-k", world.path("s1"), path], False),
                         ([nbd, "-t", "-f", "raw", "-k", world.path("s2"), path], True)):
        with Opened(world, *argv):
            wait_for(world, path, 100)
            text = "qemu has it open for writing" if writer else "qemu has it open (a lock on"
            for name in ("s1", "s2"):
                if os.path.exists(world.path(name)):
                    os.unlink(world.path(name))
            refuse(world, path, package, text)
            if writer:
                world.refused(["inspect", path], 100, "qemu has it open for writing")
                world.refused(["plan", path, "--size", SIZE, "--drivers", package], 100,
                              "qemu has it open for writing")
            else:
                world.ibbake("inspect", path)
    in_place(world, path, package)


def e2e_in_place_parent(world):
    """A disk that another one in its directory rests on."""
    image, package = world.image(*SMALL), world.package()
    path = image.path
    footer = read_tail(path)
    child = bytearray(4096)
    child[0:512] = footer
    child[16:24] = struct.pack(">Q", 512)
    child[60:64] = struct.pack(">I", 4)
    child[512:520] = b"cxsparse"
    child[552:568] = footer[68:84]
    child[-512:] = child[:512]
    for name in ("child.vhd", "child.avhd"):
        with open(world.path(name), "wb") as f:
            f.write(child)
        refuse(world, path, package, f"is the parent of {name}", "-o")
        os.unlink(world.path(name))
    qemu = find_tool("qemu-img")
    if qemu:
        overlay = world.path("snapshot.qcow2")
        world.run([qemu, "create", "-f", "qcow2", "-F", "raw", "-b", path, overlay])
        refuse(world, path, package, "is the parent of snapshot.qcow2")
        os.unlink(overlay)
    in_place(world, path, package)


def e2e_in_place_chain(world):
    """A journal beside a file of the chain is met as well; a differencing disk is not changed in
    place, and neither is what it rests on."""
    image, package = world.image(*SMALL), world.package()
    path = image.path
    os.mkdir(world.path("s"))
    middle = differencing_vhd(world.path("s/middle.vhd"), path, "..\\base.vhd", b"m" * 16)
    top = differencing_vhd(world.path("s/top.vhd"), middle, ".\\middle.vhd", b"t" * 16)
    world.ibbake("inspect", top)
    for of in (path, middle):
        with open(journal_of(of), "wb"):
            os.chmod(journal_of(of), 0o600)
        for args in (["inspect", top], ["drivers", "list", top],
                     ["convert", top, "-o", world.path("out.vhd")],
                     ["bake", top, "--size", SIZE, "--drivers", package, "-o",
                      world.path("out.vhd")]):
            world.refused(args, 100, journal_of(of), "ibbake recover")
        os.unlink(journal_of(of))
    refuse(world, top, package, "differencing VHD", "-o")
    refuse(world, middle, package, "differencing VHD", "-o")
    child = differencing_vhd(world.path("child.avhd"), path, ".\\BASE.VHD", b"c" * 16)
    refuse(world, path, package, "is the parent of child.avhd")
    os.unlink(child)
    in_place(world, path, package)  # who rests on it elsewhere is not seen
    world.ibbake("recover", top).mentions("nothing to do")


def read_tail(path):
    with open(path, "rb") as f:
        f.seek(-512, os.SEEK_END)
        return f.read(512)


# ---- more changed blocks than memory may hold ----

def e2e_spill(world):
    """Packages of 80 MiB: what does not fit goes to a temporary file, which nobody sees; without
    room for it there is one clear error."""
    image = world.image("--size", "512MiB")
    packages = world.path("packages")
    os.mkdir(packages)
    for i in range(4):
        world.package("--inf", f"noise{i}.inf", "--service", f"noise{i}", "--noise",
                      str(20 << 20), name=f"packages/p{i}")
    temp, out = world.path("temp"), world.path("out.vhd")
    os.mkdir(temp)
    add = ["drivers", "add", image.path, packages, "--recurse"]
    os.chmod(temp, 0o500)
    world.refused([*add, "-o", out], 255, f"temporary file in {temp}", "TMPDIR",
                  env={**EPOCH, "TMPDIR": temp})
    os.chmod(temp, 0o700)
    world.ibbake(*add, "-o", out, env={**EPOCH, "TMPDIR": temp})
    same(os.listdir(temp), [], "what is left of the temporary file")
    world.ibbake("verify", out, "--manifest", out + ".manifest.json")
    world.sound_ntfs(world.partition_file(image.at(out)))
    world.ibbake(*add, "--in-place", env={**EPOCH, "TMPDIR": temp})
    same(content_digest(image.path), content_digest(out), "in place")
