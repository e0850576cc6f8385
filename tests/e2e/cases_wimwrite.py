# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing WIMs: in place, without room, killed; and files that are made to break a reader."""
import errno
import json
import os
import random
import re
import resource
import signal
import struct
import subprocess
import time

import wimworld as wims
from cases_bake import EPOCH, EPOCH_FILETIME
from cases_wim import bake, command, only_the_plan, per_image, read_bytes
from wimworld import CLIENT, DATA, SERVER, build, entries
from world import SIZE, Skip, Snapshot, check, same

JOURNAL = ".ibbake-journal"
MODES = {"new file": (), "append": ("--in-place",), "compact": ("--in-place", "--compact")}


class Job:
    """One way to bake a WIM, with the bytes before and after."""

    def __init__(self, world, mode, noise=0):
        self.world, self.mode = world, mode
        made = world.path("made.wim")
        if not os.path.exists(made):
            world.package(*(["--noise", str(noise)] if noise else []))
            build(world, "made.wim", (SERVER, CLIENT, DATA))
        self.package = world.path("package")
        self.old = read_bytes(made)
        self.dir = world.path(mode.replace(" ", "-"))
        os.mkdir(self.dir)
        self.wim = self.dir + "/install.wim"
        self.out = self.dir + "/out.wim" if mode == "new file" else self.wim
        self.manifest = self.out + ".manifest.json"
        world.anchor
        self.restore()
        self.run()  # into the caches
        self.restore()
        began = time.monotonic()
        self.run()
        self.seconds = time.monotonic() - began
        self.new, self.new_manifest = read_bytes(self.out), read_bytes(self.manifest)
        wims.sound(world, self.out)
        check(self.new != self.old, "nothing changed")
        self.restore()

    def argv(self, *more):
        options = MODES[self.mode] or ("-o", self.out)
        return [self.world.args.ibbake, *self.world.trusting(
            command(self.wim, self.package, "--image", "all", *options, *more))]

    def run(self, rc=0, env=None, **how):
        e = {**self.world.env, **EPOCH, **(env or {})}
        done = subprocess.run(self.argv(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", env=e, cwd=self.world.dir, timeout=120, **how)
        check("runtime error" not in done.stderr and "Sanitizer" not in done.stderr, done.stderr)
        if rc is not None:
            same(done.returncode, rc, f"exit status of {self.mode} ({done.stderr})")
        return done

    def restore(self):
        for name in os.listdir(self.dir):
            os.unlink(os.path.join(self.dir, name))
        with open(self.wim, "wb") as f:
            f.write(self.old)

    def left(self):
        """What lies beside the WIM, its result and the manifest."""
        known = {os.path.basename(p) for p in (self.wim, self.out, self.manifest)}
        return sorted(set(os.listdir(self.dir)) - known)

    def settled(self, what):
        """Old with no manifest, or new with its own; "old" or "new"."""
        if self.mode == "new file":
            check(read_bytes(self.wim) == self.old, f"{what}: the source was written")
            if not os.path.exists(self.out):
                check(not os.path.exists(self.manifest), f"{what}: a manifest without its image")
                return "old"
            check(read_bytes(self.out) == self.new, f"{what}: half an output")
        else:
            now = read_bytes(self.wim)
            if now == self.old:
                check(not os.path.exists(self.manifest), f"{what}: a manifest of the old image")
                return "old"
            check(now == self.new, f"{what}: neither old nor new ({len(now)} bytes)")
        return "new"

    def whole_for_others(self, what):
        """Not knowing of our record, wimlib finds every image and every byte, old or new."""
        if os.path.exists(self.wim):
            r = wims.imagex(self.world, "verify", self.wim, rc=None)
            same(r.rc, 0, f"{what}: {r}")
            same(wims.header(self.wim)["images"], 3, f"{what}: images")


# ---- in place ----

def e2e_wim_in_place(world):
    """Data is appended, the header changes last; the inode, the mode and the old data stay, and the
    images are those of a bake to a new file."""
    package = world.package()
    wim, _ = build(world, "install.wim")
    os.chmod(wim, 0o640)
    old = world.path("old.wim")
    world.run(["cp", wim, old])
    out = world.path("out.wim")
    bake(world, wim, package, "--image", "all", "-o", out)
    before = os.stat(wim)
    r = bake(world, wim, package, "--image", "all", "--in-place")
    after = os.stat(wim)
    same((after.st_ino, after.st_mode), (before.st_ino, before.st_mode), "inode, mode")
    check(after.st_size > before.st_size, "nothing was appended")
    size = wims.resource(wims.header(old)["blobs"])[0]
    check(read_bytes(wim)[208:size] == read_bytes(old)[208:size], "old data was written over")
    manifest = wim + ".manifest.json"
    r.mentions(manifest)
    only_the_plan(world, old, wim, manifest)
    for image in (1, 2, 3):
        same(entries(world, wim, image), entries(world, out, image), f"image {image}, against -o")
    world.ibbake("verify", wim, "--manifest", manifest)
    same([n for n in os.listdir(world.dir) if JOURNAL in n or n.startswith(".")], [], "left behind")
    kept = Snapshot(wim)
    bake(world, wim, package, "--image", "all", "--in-place", "--overwrite").mentions(
        "nothing to do")
    kept.unchanged()
    world.ibbake("recover", wim).mentions("nothing to do")


def e2e_wim_compact(world):
    """Written anew in its place: the bytes that -o gives; what nothing refers to any more is gone."""
    package = world.package()
    wim, _ = build(world, "install.wim")
    # data that no image refers to any more, as DISM and wimlib leave it
    with open(world.path("big"), "wb") as f:
        f.write(random.Random(1).randbytes(1 << 20))
    for order in ("add '" + world.path("big") + "' /big", "delete /big"):
        wims.imagex(world, "update", wim, "3", "--command=" + order)
    os.chmod(wim, 0o640)
    old, out = world.path("old.wim"), world.path("out.wim")
    world.run(["cp", wim, old])
    bake(world, wim, package, "--image", "all", "-o", out)
    bake(world, wim, package, "--image", "all", "--in-place", "--compact")
    check(read_bytes(wim) == read_bytes(out), "not the bytes that -o gives")
    same(os.stat(wim).st_mode & 0o777, 0o640, "mode")
    check(os.path.getsize(wim) < os.path.getsize(old) - (1 << 20) + (256 << 10), "nothing was freed")
    only_the_plan(world, old, wim, wim + ".manifest.json")
    world.ibbake("verify", wim, "--manifest", wim + ".manifest.json")
    same([n for n in os.listdir(world.dir) if n.startswith(".")], [], "left behind")


def e2e_wim_in_place_options(world):
    """What excludes each other; a dry run; a manifest that is there already; another name."""
    package = world.package()
    wim, _ = build(world, "install.wim", (SERVER,))
    source = Snapshot(wim)
    for options, texts in ((("--in-place", "-o", world.path("o.wim")), ("--in-place",)),
                           (("--compact", "-o", world.path("o.wim")), ("--compact",)),
                           (("--in-place", "--format", "vhd"), ("--format",))):
        world.refused(command(wim, package, *options), (2, 100), *texts, env=EPOCH)
    for how in ("--in-place", "--compact"):
        options = ["--in-place"] + ["--compact"] * (how == "--compact")
        bake(world, wim, package, *options, "--dry-run")
        with open(wim + ".manifest.json", "w") as f:
            f.write("precious")
        world.refused(command(wim, package, *options), 100, "exists", env=EPOCH)
        same(read_bytes(wim + ".manifest.json"), b"precious", "the old manifest")
        os.unlink(wim + ".manifest.json")
    with open(world.path("there.wim"), "w") as f:
        f.write("precious")
    world.refused(command(wim, package, "-o", world.path("there.wim")), 100, "exists", env=EPOCH)
    world.refused(command(wim, package, "-o", wim, "--overwrite"), (2, 100), env=EPOCH)
    disk = world.image("--size", "64MiB")
    world.refused(command(disk.path, package, "--in-place", "--compact"), (2, 100), "--compact",
                  env=EPOCH)
    source.unchanged()


def e2e_wim_in_place_in_use(world):
    """Another program writes it, another ibbake does, or it has a second name."""
    import fcntl
    package = world.package()
    wim, _ = build(world, "install.wim", (SERVER,))
    source = Snapshot(wim)
    for options in (("--in-place",), ("--in-place", "--compact")):
        with open(wim, "rb") as f:
            fcntl.flock(f, fcntl.LOCK_SH)
            world.refused(command(wim, package, *options), 100, "flock", env=EPOCH)
        os.link(wim, world.path("second.wim"))
        if "--compact" not in options:
            for dry in ((), ("--dry-run",)):
                world.refused(command(wim, package, *options, *dry), 100, "2 names", env=EPOCH)
        os.unlink(world.path("second.wim"))
    source.unchanged()


def e2e_wim_in_place_not_ours(world):
    """A file that may not be written to, or that belongs to somebody else: as it was, no record."""
    package = world.package()
    wim, _ = build(world, "install.wim", (SERVER,))
    owner = os.stat(wim)
    for options in (("--in-place",), ("--in-place", "--compact")):
        os.chmod(wim, 0o444)
        source, before = Snapshot(wim), world.listing()
        world.refused(command(wim, package, *options), 255, "open for writing", "-o OUT", env=EPOCH)
        source.unchanged()
        same(sorted(world.listing() - before), [], "left behind")
        world.ibbake("inspect", wim)
        os.chmod(wim, 0o644)
    if os.geteuid():
        return
    os.chown(wim, 0, 0)
    os.chmod(wim, 0o666)
    source, before = Snapshot(wim), world.listing()
    for dry in ((), ("--dry-run",)):
        world.refused(command(wim, package, "--in-place", "--compact", *dry), 100, "user 0", "owner",
                      env=EPOCH)
    source.unchanged()
    same(sorted(world.listing() - before), [], "left behind")
    bake(world, wim, package, "--in-place")
    same(os.stat(wim).st_uid, 0, "owner")
    os.chown(wim, owner.st_uid, owner.st_gid)


# ---- interruptions ----

def killed(world, mode):
    job = Job(world, mode, noise=2 << 20)
    dice = random.Random(int(os.environ.get("IBB_TEST_SEED", "20261120")))
    ended, cut, met, n = {"old": 0, "new": 0}, 0, 0, int(os.environ.get("IBB_KILLS", "10"))
    whole = job.seconds
    for i in range(n):
        job.restore()
        p = subprocess.Popen(job.argv(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, env={**world.env, **EPOCH}, cwd=world.dir)
        time.sleep(dice.uniform(0.2, 1) * whole)
        p.send_signal(signal.SIGKILL)
        p.wait()
        if p.returncode == 0:
            whole *= 0.9
        cut += p.returncode == -signal.SIGKILL
        what = f"{mode}, kill {i}"
        job.whole_for_others(what)
        if os.path.exists(job.wim + JOURNAL):
            met += 1
            world.ibbake("inspect", job.wim, rc=100).says("ibbake recover")
        world.ibbake("recover", job.wim)
        ended[job.settled(what)] += 1
        left = job.left()
        check(all(x.startswith((".out.wim", ".install.wim")) for x in left), f"{what} left {left}")
        if left and i % 3 == 0:  # the next run is not kept from its work
            again = job.run(rc=None)
            check(again.returncode == 0 or "exists" in again.stderr, again.stderr)
            if again.returncode == 0 and mode != "append":
                same([x for x in job.left() if re.match(r"\.(out|install)\.wim\.ibbake-", x)], [],
                     "left by a whole run")
    check(cut >= n // 3, f"only {cut} of {n} runs were killed in time")
    job.restore()
    job.run()
    same(job.settled("a bake after the kills"), "new", "a bake after the kills")
    world.notes.append(f"{cut} of {n} killed: {ended}, {met} times recovered")


def e2e_wim_killed(world):
    """kill -9 at any moment: the source is untouched, no half output has the name."""
    killed(world, "new file")


def e2e_leftovers(world):
    """What a killed run left under a temporary name goes with the next run; nothing else does."""
    import fcntl
    package = world.package()
    wim, _ = build(world, "install.wim", (SERVER,))
    disk = world.image("--size", "256MiB")

    def plant(name):
        path = world.path(name)
        with open(path, "w") as f:
            f.write("left")
        if not os.geteuid():
            os.chown(path, os.stat(wim).st_uid, os.stat(wim).st_gid)
        return path

    def left():
        return {n for n in os.listdir(world.dir) if ".ibbake-" in n}

    for out, job in (("out.wim", command(wim, package, "-o", world.path("out.wim"))),
                     ("install.wim", command(wim, package, "--in-place", "--compact")),
                     ("out.vhd", command(disk.path, package, "-o", world.path("out.vhd"))),
                     ("out.vhdx", ["convert", disk.path, "--format", "vhdx", "-o",
                                   world.path("out.vhdx")])):
        kept = {f".{out}.manifest.json.ibbake-1.tmp", f".{out}.manifest.json.ibbake-1-0.old",
                f".{out}.ibbake-3-1.tmp", f".other.{out}.ibbake-1.tmp"}
        for n in (*kept, f".{out}.ibbake-1.tmp", f".{out}.ibbake-2-1.tmp"):
            plant(n)
        with open(world.path(f".{out}.ibbake-3-1.tmp"), "rb") as f:
            fcntl.flock(f, fcntl.LOCK_SH)  # of somebody who is at work
            world.ibbake(*job, env=EPOCH)
            same(left(), kept, f"beside {out}")
        for n in kept:
            same(read_bytes(world.path(n)), b"left", n)
            os.unlink(world.path(n))
    # what is refused removes nothing
    plant(".out.wim.ibbake-1.tmp")
    world.refused(command(wim, package, "-o", world.path("out.wim")), 100, "exists", env=EPOCH)
    same(left(), {".out.wim.ibbake-1.tmp"}, "after a refusal")


def e2e_wim_in_place_killed(world):
    """The file stays whole for every reader; after recover it is the old or the new one."""
    killed(world, "append")


def e2e_wim_compact_killed(world):
    killed(world, "compact")


def each_step(world, mode):
    """kill -9 after single operations on the directory's files, all over the run."""
    job = Job(world, mode)
    record = world.path("record")
    env = world.preload("ibb-powercut", IBB_RECORD_DIR=job.dir, IBB_RECORD=record)
    job.run(env=env)
    n = count_ops(record)
    check(n > 5, f"{n} operations were recorded")
    job.restore()
    ended, steps = {"old": 0, "new": 0}, int(os.environ.get("IBB_KILLS", "10")) * 3
    for at in sorted({1 + i * (n - 1) // (steps - 1) for i in range(steps)} |
                     set(range(max(1, n - 12), n + 1))):
        job.restore()
        os.unlink(record)
        job.run(rc=None, env={**env, "IBB_RECORD_KILL": str(at)})
        what = f"{mode}, killed after operation {at} of {n}"
        job.whole_for_others(what)
        world.ibbake("recover", job.wim)
        ended[job.settled(what)] += 1
    check(ended["old"] and ended["new"], f"{ended}")
    world.notes.append(f"{n} operations: {ended}")


def count_ops(record):
    """Each is a line; a write's is followed by what it wrote."""
    n = 0
    with open(record, "rb") as f:
        while line := f.readline():
            kind, _, _, length, _ = line.decode().split(" ", 4)
            f.seek(int(length) if kind == "write" else 0, os.SEEK_CUR)
            n += 1
    return n


def e2e_wim_killed_at_each_step(world):
    each_step(world, "new file")


def e2e_wim_in_place_killed_at_each_step(world):
    each_step(world, "append")


def e2e_wim_compact_killed_at_each_step(world):
    each_step(world, "compact")


def e2e_wim_recover(world):
    """What every command says of an interrupted change, and what recover makes of it."""
    job = Job(world, "append")
    record = world.path("record")
    env = world.preload("ibb-powercut", IBB_RECORD_DIR=job.dir, IBB_RECORD=record)
    job.run(env=env)
    n = count_ops(record)
    for at in range(n - 1, 0, -1):
        job.restore()
        job.run(rc=None, env={**env, "IBB_RECORD_KILL": str(at)})
        if read_bytes(job.wim) != job.old and os.path.exists(job.wim + JOURNAL):
            break
    else:
        raise Skip("no step leaves a change with its record")
    kept = Snapshot(job.wim)
    out = world.path("out.wim")
    for args in (["inspect", job.wim], command(job.wim, job.package, "--image", "1", "-o", out),
                 command(job.wim, job.package, "--image", "1", "--in-place"),
                 ["plan", job.wim, "--size", SIZE, "--drivers", job.package, "--image", "1"],
                 ["drivers", "list", job.wim, "--image", "1"]):
        world.refused(args, 100, job.wim + JOURNAL, "ibbake recover")
    kept.unchanged()
    doc = world.ibbake("recover", job.wim, "--json").json()
    check("old" in json.dumps(doc) or "dropped" in json.dumps(doc), doc)
    check(read_bytes(job.wim) == job.old, "not what it was")
    same(job.left(), [], "left behind")
    world.ibbake("recover", job.wim).mentions("nothing to do")
    job.run()
    same(job.settled("a bake after recover"), "new", "a bake after recover")


def e2e_wim_recover_manifest(world):
    """A kill between the old manifest and the record: recover brings both back."""
    package, where = world.package(), world.path("there")
    os.mkdir(where)
    wim, record = where + "/install.wim", world.path("record")
    build(world, "there/install.wim", (SERVER,))
    for n in os.listdir(where):
        if n != "install.wim":
            os.rename(os.path.join(where, n), world.path(n))
    bake(world, wim, package, "--in-place")
    manifest = wim + ".manifest.json"
    kept, said = read_bytes(wim), read_bytes(manifest)
    remove = ["drivers", "remove", wim, "ibbdemo.inf", "--in-place", "--overwrite"]

    def run(**how):
        for n in os.listdir(where):
            os.unlink(os.path.join(where, n))
        for path, data in ((wim, kept), (manifest, said)):
            with open(path, "wb") as f:
                f.write(data)
        return world.ibbake(*remove, rc=None, env={
            **EPOCH, **world.preload("ibb-powercut", IBB_RECORD_DIR=where, IBB_RECORD=record), **how})

    same(run().rc, 0, "exit status of the removal")
    met = 0
    for at in range(count_ops(record), 0, -1):
        os.unlink(record)
        run(IBB_RECORD_KILL=str(at))
        if os.path.exists(wim + JOURNAL) and not os.path.exists(manifest):
            r = world.ibbake("recover", wim)
            met += 1
            r.mentions(manifest, "again")
        elif met:
            break
        else:
            continue
        check(read_bytes(wim) == kept and read_bytes(manifest) == said, f"operation {at}")
        same([n for n in os.listdir(where) if n.endswith(".old")], [], "aside")
        world.ibbake("verify", wim, "--manifest", manifest)
    check(met, "no kill found the manifest put aside")
    world.notes.append(f"{met} kills")


def e2e_wim_terminated(world):
    """SIGTERM: nothing left, nothing changed."""
    for mode in MODES:
        job = Job(world, mode, noise=6 << 20)
        for part in (0.3, 0.6, 0.8):
            job.restore()
            p = subprocess.Popen(job.argv(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, env={**world.env, **EPOCH}, cwd=world.dir)
            time.sleep(part * job.seconds)
            p.terminate()
            said = p.communicate()[1].decode()
            check(p.returncode in (143, -15, 0), f"{mode}: exit status {p.returncode}: {said}")
            same(job.left(), [], f"{mode}: left behind")
            same(job.settled(f"{mode}, SIGTERM"), "new" if p.returncode == 0 else "old", mode)


# ---- no room, and other errors of the system ----

def e2e_wim_no_room(world):
    """Files may not grow beyond a limit: one clear error, nothing left, nothing changed."""
    for mode in MODES:
        job = Job(world, mode, noise=1 << 20)
        first = len(job.old) if mode == "append" else 4096
        for limit in (first, (first + len(job.new)) // 2, len(job.new) - 1):
            def small_files():
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

            job.restore()
            r = job.run(rc=255, preexec_fn=small_files)
            what = f"{mode}, files up to {limit} bytes: {r.stderr}"
            check("ibbake: " in r.stderr, what)
            check("ulimit" in r.stderr or "raise the limit" in r.stderr or limit > 4096, what)
            same(job.settled(what), "old", what)
            same(job.left(), [], what)


def e2e_wim_full_disk(world):
    """A file system of its own that is too small."""
    for mode in MODES:
        job = Job(world, mode, noise=1 << 20)
        room = len(job.old) + (len(job.new) - len(job.old)) // 2
        room += len(job.new) // 2 if mode != "append" else 0
        script = ('d=$1; mount -t tmpfs -o size=$2 none "$d" || exit 77; shift 2; '
                  'cp made.wim "$d/install.wim"; "$@"; rc=$?; '
                  'cmp made.wim "$d/install.wim" && echo the same; ls -A "$d"; exit $rc')
        r = world.run(["unshare", "-Urm", "sh", "-c", script, "sh", job.dir, room, *job.argv()],
                      rc=None, env=EPOCH)
        if r.rc in (1, 77):
            raise Skip("no tmpfs of our own here")
        same(r.rc, 255, f"{mode}: exit status\n{r}")
        same(r.out.splitlines()[-2:], ["the same", "install.wim"], f"{mode}: afterwards\n{r}")
        r.says("MiB free")


def flipped(world, mode):
    """One byte is another one when it gets to the file: it is found, and nothing was changed."""
    job = Job(world, mode)
    job.run()
    end = struct.unpack("<QQQ", wims.header(job.out)["blobs"])[1]
    first = len(job.old) if mode == "append" else 208
    n, n_found = int(os.environ.get("IBB_FLIPS", "16")), 0
    for at in (first + (2 * i + 1) * (end - first) // (2 * n) for i in range(n)):
        job.restore()
        r = job.run(rc=None, env=world.preload("ibb-sysfault", IBB_FLIP=f"{at}:{job.dir}"))
        what = f"{mode}: byte {at}, tables at {end}, is another one: {r.stderr}"
        if r.returncode == 0:  # padding of what was compressed anew means nothing
            check(read_bytes(job.out) != job.new, f"{what}: nothing was flipped")
            wims.sound(world, job.out)
            continue
        same(r.returncode, 255, what)
        check("does not check" in r.stderr or "damaged" in r.stderr, what)
        same(job.settled(what), "old", what)
        same(job.left(), [], what)
        n_found += 1
    check(n_found > n - 3, f"{mode}: only {n_found} of {n} were found")


def e2e_wim_flipped_byte(world):
    flipped(world, "new file")


def e2e_wim_compact_flipped_byte(world):
    flipped(world, "compact")


def e2e_wim_in_place_flipped_byte(world):
    flipped(world, "append")


def faults(world, mode):
    """Every change to a file fails once: an error, and the old state; or it did not matter."""
    job = Job(world, mode)
    log = world.path("fault.log")
    # leaks are the unit tests' matter: what the libraries lose cannot be told here, because the
    # symbolizer gets the preloaded library as well
    leaks = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    env = world.preload("ibb-iofault", IBB_FAULT_LOG=log, IBB_FAULT_WRITES="1",
                        ASAN_OPTIONS=leaks.lstrip(":"))
    total, over = 0, 1 << 14
    while over - total > 1:  # the last change there is
        middle = (total + over) // 2
        total, over = (middle, over) if failed_at(job, env, log, middle)[0] else (total, middle)
    steps = int(os.environ.get("IBB_FAULTS", "36"))
    n_failed = kept = 0
    # most are of what is staged in memory; the file itself is written by the last of them
    for at in sorted({1 + i * (total - 1) // (steps // 2) for i in range(steps // 2)} |
                     set(range(max(1, total - steps), total + 1))):
        for number in (errno.ENOSPC, errno.EIO) if at % 3 == 0 else (errno.ENOSPC,):
            job.restore()
            hit, r = failed_at(job, env, log, at, number)
            what = f"{mode}: change {at} ({hit}) fails with {errno.errorcode[number]}: {r.stderr}"
            check(r.returncode in (0, 255), what)
            if os.path.exists(job.wim + JOURNAL):  # going back failed as well: recover is named
                check("ibbake recover" in r.stderr, what)
                world.ibbake("recover", job.wim)
            # the new one stays, and that is said, when only what belongs to it went wrong
            said = any(x in r.stderr for x in ("is complete", "is changed and read back"))
            same(job.settled(what), "new" if r.returncode == 0 or said else "old", what)
            left = job.left()
            if "the finished file is" in r.stderr:  # and it is the manifest that the WIM lacks
                same(len(left), 1, what)
                check(said and left[0] in r.stderr, what)
                check(read_bytes(os.path.join(job.dir, left[0])) == job.new_manifest, what)
                kept += 1
            else:
                same(left, [], what)
            n_failed += r.returncode == 255
    check(n_failed > 5, f"only {n_failed} runs failed")
    check(kept, "no manifest was kept")
    world.notes.append(f"{total} changes, {n_failed} runs failed")


def failed_at(job, env, log, at, number=errno.ENOSPC):
    if os.path.exists(log):
        os.unlink(log)
    job.restore()
    r = job.run(rc=None, env={**env, "IBB_FAULT_AT": str(at), "IBB_FAULT_ERRNO": str(number)})
    return (read_bytes(log).decode().strip() if os.path.exists(log) else None), r


def e2e_wim_faults(world):
    faults(world, "new file")


def e2e_wim_in_place_faults(world):
    faults(world, "append")


def e2e_wim_compact_faults(world):
    faults(world, "compact")


# ---- hostile files ----

def attempts(world, wim, package):
    """Every command that opens it; exit statuses."""
    out = world.path("out.wim")
    return [["inspect", wim], ["inspect", wim, "--json", "--hives"],
            ["plan", wim, "--size", SIZE, "--drivers", package, "--image", "all"],
            ["bake", wim, "--size", SIZE, "--drivers", package, "--image", "1", "-o", out],
            ["bake", wim, "--size", SIZE, "--drivers", package, "--image", "all", "--in-place"],
            ["bake", wim, "--size", SIZE, "--drivers", package, "--image", "all", "--in-place",
             "--compact"], ["drivers", "list", wim, "--image", "1"]]


def endured(world, wim, package):
    """No crash, no file that comes or goes, the WIM as it was, unless it was baked."""
    world.anchor
    kept, before, raw = Snapshot(wim), world.listing(), read_bytes(wim)
    statuses = []
    for args in attempts(world, wim, package):
        r = world.ibbake(*args, rc=(0, 2, 100, 255), env=EPOCH)
        what = f"{os.path.basename(wim)}: {r}"
        if r.rc:
            check(r.err.startswith("ibbake: ") or "\nibbake: " in r.err, what)
            same(sorted(world.listing() - before), [], f"left behind\n{what}")
            kept.unchanged()
        elif args[0] == "bake":
            for n in world.listing() - before:
                os.unlink(world.path(n))
            with open(wim, "r+b") as f:
                f.write(raw)
                f.truncate(len(raw))
            kept = Snapshot(wim)
        statuses.append(r.rc)
    return statuses


def e2e_wim_hostile(world):
    """Damaged, cyclic, with '..' in it: refused or handled, and nothing is written outside."""
    top, package, ended = world.data("wims"), world.package(), {}
    for name in sorted(os.listdir(top)):
        if not name.endswith(".wim"):
            continue
        wim = world.path(name)
        world.run(["cp", os.path.join(top, name), wim])
        os.chmod(wim, 0o644)
        ended[name] = endured(world, wim, package)
        check(all(ended[name][3:6]), f"{name}: baked, without a Windows")
        os.unlink(wim)
    check(len(ended) >= 8, f"only {sorted(ended)}")
    same(set(ended["cyclic.wim"]), {255}, "cyclic.wim: damaged, not merely without Windows")
    world.notes.append(f"{ended}")


def e2e_wim_damaged(world):
    """Bytes are changed wherever a reader looks: header, tables, XML, metadata, hives."""
    package = world.package()
    wim, _ = build(world, "made.wim", (SERVER, DATA), options=("--nocheck",))
    good = read_bytes(wim)
    dice = random.Random(int(os.environ.get("IBB_TEST_SEED", "20261120")))
    h = wims.header(wim)
    places = list(range(0, 208, 4))
    for part in ("blobs", "xml"):
        at, size, _, _ = wims.resource(h[part])
        places += [at + dice.randrange(size) for _ in range(12)]
    places += [dice.randrange(208, len(good)) for _ in range(24)]
    target = world.path("bad.wim")
    ended = {0: 0, 2: 0, 100: 0, 255: 0}
    chosen = places if os.environ.get("IBB_KILLS") else dice.sample(places, 30)
    for place in chosen:
        data = bytearray(good)
        data[place] ^= 1 << dice.randrange(8)
        with open(target, "wb") as f:
            f.write(data)
        for rc in endured(world, target, package):
            ended[rc] += 1
        os.unlink(target)
    check(ended[255] > 20, f"{ended}")
    world.notes.append(f"{len(chosen)} changed bits: {ended}")


def e2e_wim_truncated(world):
    """Cut off anywhere; and two integrity tables that do not fit the data."""
    package = world.package()
    wim, _ = build(world, "made.wim", (SERVER,))
    good = read_bytes(wim)
    target = world.path("short.wim")
    for n in (0, 1, 100, 207, 208, 300, len(good) // 2, len(good) - 1):
        with open(target, "wb") as f:
            f.write(good[:n])
        ended = endured(world, target, package)
        check(all(ended), f"{n} bytes of {len(good)} were taken: {ended}")
        os.unlink(target)


def e2e_wim_damaged_hive(world):
    """A file whose digest does not match is damage, whatever it says; nothing is made of it."""
    package = world.package()
    wim, _ = build(world, "install.wim", (SERVER, CLIENT), compress="none", options=("--nocheck",))
    hive = wims.file_bytes(world, wim, 1, "Windows/System32/config/SYSTEM")
    data = bytearray(read_bytes(wim))
    at = data.index(hive)
    data[at + 5000] ^= 1
    with open(wim, "wb") as f:
        f.write(data)
    source = Snapshot(wim)
    for options in (("-o", world.path("out.wim")), ("--in-place",), ("--in-place", "--compact")):
        world.refused(command(wim, package, "--image", "1", *options), 255, "SYSTEM", env=EPOCH)
    source.unchanged()
    bake(world, wim, package, "--image", "2", "--in-place")


# ---- more new content than memory may hold ----

def e2e_wim_spill(world):
    """Packages of 280 MiB: what does not fit goes to a temporary file, which nobody sees; without
    room for it there is one clear error."""
    wim, _ = build(world, "install.wim", (SERVER,), compress="none", options=())
    packages, temp, out = (world.path(n) for n in ("packages", "temp", "out.wim"))
    os.mkdir(packages)
    os.mkdir(temp)
    for i in range(7):
        world.package("--inf", f"noise{i}.inf", "--service", f"noise{i}", "--noise",
                      str(40 << 20), name=f"packages/p{i}")
    add = ["drivers", "add", wim, packages, "--recurse"]
    source = Snapshot(wim)
    os.chmod(temp, 0o500)
    world.refused([*add, "-o", out], 255, temp, "TMPDIR", env={**EPOCH, "TMPDIR": temp})
    os.chmod(temp, 0o700)
    source.unchanged()
    world.ibbake(*add, "-o", out, env={**EPOCH, "TMPDIR": temp})
    same(os.listdir(temp), [], "what is left of the temporary file")
    check(os.path.getsize(out) > 280 << 20, "the packages are not in it")
    world.ibbake("verify", out, "--manifest", out + ".manifest.json")
