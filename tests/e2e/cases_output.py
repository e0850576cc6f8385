# SPDX-License-Identifier: GPL-3.0-or-later
"""The output appears whole or not at all, and never over what it must not replace."""
import fcntl
import json
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import time

from cases_bake import EPOCH, bake
from cases_input import SMALL, try_bake
from world import SIZE, Failure, Snapshot, check, content_digest, same


def e2e_out_exists(world):
    image, package = world.image(*SMALL), world.package()
    out = world.path("out.vhd")
    with open(out, "w") as f:
        f.write("precious")
    kept = Snapshot(out)
    try_bake(world, image, package, 100, "out.vhd", "--overwrite")
    kept.unchanged()
    bake(world, image, package, out, "--overwrite")
    same(os.path.getsize(out), os.path.getsize(image.path), "size of the new output")


def count_one_link_more(image):
    """Damage that mounts: the root directory of the Windows volume counts a name too many."""
    with open(image.path, "r+b") as f:
        start = image.partition()["offset"]
        f.seek(start)
        boot = f.read(512)
        sector, per, = struct.unpack_from("<HB", boot, 11)
        f.seek(start + struct.unpack_from("<Q", boot, 0x30)[0] * sector * per + 5 * 1024 + 0x12)
        n, = struct.unpack("<H", f.read(2))
        f.seek(-2, os.SEEK_CUR)
        f.write(struct.pack("<H", n + 1))


def e2e_output_is_checked(world):
    """The NTFS checker looks at every result, and what the source had already is no news."""
    image, package = world.image(*SMALL), world.package()
    out = image.at(world.path("out.vhd"))
    bake(world, image, package, out.path)
    same(world.volumes_checked, 1, "volumes checked")
    count_one_link_more(out)
    try:
        world.not_worse(out.path, image.path)
    except Failure as e:
        check("'link-count', 'partition" in str(e), f"another finding: {e}")
    else:
        raise Failure("the checker does not see a wrong link count")
    count_one_link_more(image)
    bake(world, image, package, world.path("again.vhd"))
    same(world.volumes_checked, 2, "volumes checked")


def e2e_ntfscheck_tool(world):
    """The checker as a program: exit status, lines, places."""
    image = world.image(*SMALL)
    part = image.partition()
    tool = world.args.ntfscheck
    by_number = [tool, image.path, "--partition", part["number"]]
    by_offset = [tool, image.path, "--offset", part["offset"], "--size", part["length"]]
    for argv in (by_number, by_offset, [tool, image.path, "--all"]):
        r = world.run(argv)
        check("error" not in r.out, f"errors in a fresh image\n{r}")
    check(int(world.run([*by_number, "--json"]).json()["records"]) > 24, "no records")
    count_one_link_more(image)
    for argv in (by_number, by_offset):
        r = world.run(argv, rc=3)
        check("error link-count: record 5: 2, 1 names\n" in r.out, f"no such line\n{r}")
    r = world.run([tool, image.path, "--all"], rc=3)
    check(f"error link-count: partition {part['number']} record 5: " in r.out, f"no place\n{r}")
    world.run([tool, world.path("nothing")], rc=255).says("nothing")
    world.run([tool, image.path, "--partition", "77"], rc=255).says("no partition 77")
    world.run([tool], rc=2).says("usage")


def e2e_mode(world):
    """Who may not read the source may not read the result; the owner may always write it."""
    image, package = world.image(*SMALL), world.package()
    out = world.path("out.vhd")
    for source, want in ((0o600, 0o600), (0o640, 0o640), (0o444, 0o644), (0o666, 0o644)):
        os.chmod(image.path, source)
        bake(world, image, package, out, "--overwrite")
        same(oct(os.stat(out).st_mode & 0o7777), oct(want), f"mode, source {source:o}")


def e2e_out_with_journal(world):
    """An output beside which the journal of an interrupted change lies is not replaced."""
    image, package = world.image(*SMALL), world.package()
    out, journal = world.path("out.vhd"), world.path("out.vhd.ibbake-journal")
    with open(journal, "wb") as f:
        f.write(b"ibbakeRJ" + bytes(504))
    for argv in (["convert", image.path, "-o", out],
                 ["bake", image.path, "--size", SIZE, "--drivers", package, "-o", out]):
        world.refused(argv, 100, "was interrupted", "choose another name")
        world.refused([*argv, "--overwrite"], 100, "was interrupted", "choose another name")
    with open(out, "wb") as f:
        f.write(b"half changed")
    kept = Snapshot(out)
    for argv in (["convert", image.path, "-o", out],
                 ["bake", image.path, "--size", SIZE, "--drivers", package, "-o", out]):
        world.refused([*argv, "--overwrite"], 100, "was interrupted", "ibbake recover")
    kept.unchanged()
    os.unlink(journal)
    world.ibbake("convert", image.path, "-o", out, "--overwrite")


def e2e_overwrite_fails(world):
    """Replacing an image and its manifest fails at any step: the old pair is as it was, or there is
    the new image with its own manifest or none."""
    image, package = world.image(*SMALL), world.package()
    out = world.path("out.vhd")
    manifest = out + ".manifest.json"

    def state():
        def read(path):
            if os.path.exists(path):
                with open(path, "rb") as f:
                    return f.read()
            return None

        return content_digest(out), read(manifest)

    later = dict(EPOCH, SOURCE_DATE_EPOCH=str(int(EPOCH["SOURCE_DATE_EPOCH"]) + 60))
    bake(world, image, package, out)
    old = state()
    world.anchor
    bake(world, image, package, out, "--overwrite", env=later)
    new = state()
    check(old[0] != new[0] and old[1] != new[1], "the two bakes are alike")
    args = ["bake", image.path, "--size", SIZE, "--drivers", package, "-o", out, "--overwrite"]
    seen = set()
    for call in ("fsync", "linkat", "rename"):
        for n in range(1, 10):
            bake(world, image, package, out, "--overwrite")
            same(state(), old, "the old pair again")
            before = world.listing()
            env = world.preload("ibb-sysfault", IBB_FAIL=f"{call}:{n}")
            r = world.ibbake(*args, rc=(0, 255), env={**env, **later})
            now, what = state(), f"{call} {n}"
            if r.rc == 0:
                same(now == new, True, f"{what}: the new pair")
                break
            r.says("input/output error")
            check(now in (old, (new[0], None), new), f"{what}: neither old nor new\n{r}")
            check(call != "linkat" or now == old, f"{what}: old pair kept\n{r}")
            left = sorted(world.listing() - before)
            if now == (new[0], None) and left:
                # the image has its name, the manifest not: it is kept, and named
                same(len(left), 1, f"{what}: files left behind {left}")
                r.says("its manifest is not", left[0])
                kept = world.path(left[0])
                with open(kept, "rb") as f:
                    same(f.read(), new[1], f"{what}: the manifest that was kept")
                os.remove(kept)
            else:
                same(left, [], f"{what}: files left behind")
            seen.add((call, "old" if now == old else "new"))
        check(r.rc == 0, f"{call} is called more than {n} times\n{r}")
    check({("fsync", "old"), ("linkat", "old"), ("rename", "old")} <= seen, f"seen: {seen}")


def e2e_overwrite_in_use(world):
    """What somebody uses is not replaced, whether it is known before the work or after it."""
    image, package = world.image(*SMALL), world.package()
    out = world.path("out.vhd")
    world.ibbake("convert", image.path, "-o", out)
    kept = Snapshot(out)
    commands = (["convert", image.path, "-o", out, "--overwrite"],
                ["bake", image.path, "--size", SIZE, "--drivers", package, "-o", out,
                 "--overwrite"])
    for lock in (fcntl.LOCK_SH, fcntl.LOCK_EX):  # ibbake reads it; changes it in place
        with open(out, "rb") as f:
            fcntl.flock(f, lock)
            for argv in commands:
                world.refused(argv, 100, "out.vhd: is in use", "flock", "choose another name")
    with open(out, "rb"):
        for argv in commands:
            world.refused(argv, 100, "another program has it open", "choose another name")
    # as qemu locks it, and by another process: closing it here would give the lock up
    hold = ("import fcntl,sys; f = open(sys.argv[1], 'r+b'); "
            "fcntl.lockf(f, fcntl.LOCK_SH, 1, 101); print(flush=True); sys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", hold, out], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as p:
        p.stdout.readline()
        for argv in commands:
            world.refused(argv, 100, "qemu has it open (a lock on byte 101)")
        p.communicate()
    # who comes while the new image is made
    env = {**world.env, **EPOCH, **world.preload("ibb-sysfault", IBB_STOP="fsync:1")}
    for argv in commands:
        before = world.listing()
        p = subprocess.Popen([world.args.ibbake, *world.trusting(argv)], env=env,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
        check(os.WIFSTOPPED(os.waitpid(p.pid, os.WUNTRACED)[1]), "it did not get that far")
        world.refused(["inspect", out], 100, "locked for writing")
        with open(out, "rb"):
            p.send_signal(signal.SIGCONT)
            talk = p.communicate()[1]
        same(p.returncode, 100, f"exit status ({talk})")
        check("another program has it open" in talk, talk)
        same(sorted(world.listing() - before), [], "files left behind")
    kept.unchanged()
    for argv in commands:
        world.ibbake(*argv)


def e2e_overwrite_manifest(world):
    """The manifest of the image that is replaced goes with it, even when there is no new one; a
    file that is no manifest stays."""
    image, package = world.image(*SMALL), world.package()
    out = world.path("out.vhd")
    manifest, mine = out + ".manifest.json", world.path("mine.json")
    baking = ["bake", image.path, "--size", SIZE, "--drivers", package, "-o", out]
    commands = (["convert", image.path, "-o", out], [*baking, "--no-manifest"],
                [*baking, "--manifest", mine])
    world.anchor
    for argv in commands:
        # beside an image, and left behind by one
        for gone in (False, True):
            bake(world, image, package, out, "--overwrite")
            if gone:
                os.unlink(out)
                if os.path.exists(mine):
                    os.unlink(mine)
                world.refused(argv, 100, "out.vhd.manifest.json", "another image",
                              "--overwrite")
            before = world.listing()
            env = world.preload("ibb-sysfault", IBB_FAIL="rename:1")
            world.ibbake(*argv, "--overwrite", rc=255, env=env)
            same(world.listing(), before, f"{argv[0]} that fails: files")
            world.ibbake(*argv, "--overwrite")
            check(not os.path.exists(manifest), f"{argv[0]}: {manifest} stays")
        same(os.path.exists(mine), argv[-1] == mine, "the manifest that was named")
        os.unlink(out)
    os.unlink(mine)
    for text in ("{}", "no manifest", '{"schema": "other/1"}', '["ibbake-manifest/1"]', ""):
        with open(manifest, "w", encoding="utf-8") as f:
            f.write(text)
        for argv in commands:
            for more in ((), ("--overwrite",)):
                if not more and os.path.exists(mine):
                    os.unlink(mine)
                world.ibbake(*argv, *more)
            os.unlink(out)
            with open(manifest, encoding="utf-8") as f:
                same(f.read(), text, f"{argv[0]}: what is no manifest")
    same(sorted(f for f in os.listdir(world.dir) if f.startswith(".")), [], "files left behind")


def e2e_manifest_exists(world):
    image, package = world.image(*SMALL), world.package()
    manifest = world.path("m.json")
    with open(manifest, "w") as f:
        f.write("precious")
    kept = Snapshot(manifest)
    try_bake(world, image, package, 100, "m.json", options=("--manifest", manifest))
    kept.unchanged()


def e2e_out_is_input(world):
    """By its name, by another spelling, through a symbolic link, as a hard link."""
    image, package = world.image(*SMALL), world.package()
    os.link(image.path, world.path("hard.vhd"))
    os.symlink("base.vhd", world.path("soft.vhd"))
    for out in ("base.vhd", "package/../base.vhd", "hard.vhd", "soft.vhd"):
        try_bake(world, image, package, 100, out=out)
        try_bake(world, image, package, 100, "input", out=out, options=("--overwrite",))


def e2e_out_is_manifest(world):
    image, package = world.image(*SMALL), world.package()
    try_bake(world, image, package, OneOf(2, 100), "manifest",
             options=("--manifest", world.path("out.vhd")))
    os.mkdir(world.path("d"))
    try_bake(world, image, package, OneOf(2, 100), "manifest",
             options=("--manifest", world.path("d/../out.vhd")))


def e2e_manifest_is_input(world):
    image, package = world.image(*SMALL), world.package()
    try_bake(world, image, package, OneOf(2, 100),
             options=("--manifest", image.path, "--overwrite"))


class OneOf:
    """One of several exit statuses."""

    def __init__(self, *choices):
        self.choices = choices

    def __eq__(self, other):
        return other in self.choices

    def __repr__(self):
        return " or ".join(map(str, self.choices))


def e2e_out_is_no_file(world):
    image, package = world.image(*SMALL), world.package()
    os.mkdir(world.path("dir"))
    os.mkfifo(world.path("pipe"))
    for out in ("dir", "/dev/null", "pipe"):
        source = Snapshot(image.path)
        for options in ((), ("--overwrite",)):
            world.refused(["bake", image.path, "--size", SIZE, "--drivers", package, "-o",
                           out if out[0] == "/" else world.path(out), *options], 100, out,
                          env=EPOCH)
        source.unchanged()
    check(os.path.isdir(world.path("dir")), "the directory is gone")


def e2e_out_in_missing_directory(world):
    try_bake(world, world.image(*SMALL), world.package(), 255, "nowhere", out="nowhere/out.vhd")


def e2e_input_is_no_file(world):
    package = world.package()
    os.mkdir(world.path("dir"))
    for path in (world.path("dir"), "/dev/null"):
        world.refused(["bake", path, "--size", SIZE, "--drivers", package, "-o",
                       world.path("out.vhd")], 100, path)


def e2e_two_at_once(world):
    """While another ibbake makes the output, or somebody writes the input, ours refuses."""
    image, package = world.image(*SMALL), world.package()
    lock = os.open(world.path(".out.vhd.ibbake-lock"), os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try_bake(world, image, package, 100, "out.vhd", "another")
    os.close(lock)  # as after a kill: the file stays, nobody holds it
    bake(world, image, package, world.path("out.vhd"))
    check(not os.path.exists(world.path(".out.vhd.ibbake-lock")), "the lock file stays behind")
    writer = os.open(image.path, os.O_RDWR)
    fcntl.flock(writer, fcntl.LOCK_EX)
    try_bake(world, image, package, 100, "base.vhd", out="other.vhd")
    os.close(writer)


def e2e_killed(world):
    """kill -9 at any moment: the source is untouched, no file has the output's name."""
    image, package = world.image("--size", "1GiB", "--fill", "32"), world.package()
    source = Snapshot(image.path)
    out, manifest = world.path("out.vhd"), world.path("out.vhd.manifest.json")
    bake(world, image, package, out)
    want = content_digest(out)
    command = [world.args.ibbake, "bake", *world.anchor, image.path, "--size", SIZE, "--drivers",
               package, "-o", out]
    began = time.monotonic()
    # not by the helper, which also checks the volume
    subprocess.run([*command, "--overwrite"], stdin=subprocess.DEVNULL, capture_output=True,
                   check=True, env={**world.env, **EPOCH})
    whole = time.monotonic() - began
    dice = random.Random(20261120)
    killed = 0
    for _ in range(14):
        for path in (out, manifest):
            if os.path.exists(path):
                os.unlink(path)
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, env={**world.env, **EPOCH})
        time.sleep(dice.uniform(0, whole))
        p.send_signal(signal.SIGKILL)
        p.wait()
        if p.returncode == -signal.SIGKILL:
            killed += 1
        else:
            same(p.returncode, 0, "exit status of a bake that was quicker than the kill")
            whole *= 0.8
        if os.path.exists(out):
            same(content_digest(out), want, "what stands under the output's name")
        check(os.path.exists(out) or not os.path.exists(manifest), "a manifest without its image")
        source.unchanged()
    check(killed >= 5, f"only {killed} of 14 runs were killed in time")
    left = set(os.listdir(world.dir)) - {"base.vhd", "package", "out.vhd", "out.vhd.manifest.json"}
    check(all(f.startswith(".out.vhd") for f in left), f"the killed runs left {left}")
    bake(world, image, package, out, "--overwrite")
    same(content_digest(out), want, "a bake after the kills")
    world.notes.append(f"{killed} of 14 runs killed; they left {sorted(left)}")


def e2e_race(world):
    """Several at once for one output: one makes it, the others refuse."""
    image, package = world.image("--size", "1GiB", "--fill", "16"), world.package()
    out = world.path("out.vhd")
    racers = [subprocess.Popen([world.args.ibbake, "bake", *world.anchor, image.path, "--size", SIZE, "--drivers",
                                package, "-o", out], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               env={**world.env, **EPOCH}) for _ in range(4)]
    talk = [p.communicate()[1] for p in racers]
    same(sorted(p.returncode for p in racers), [0, 100, 100, 100], f"exit statuses ({talk})")
    world.ibbake("verify", out, "--manifest", out + ".manifest.json")
    left = set(os.listdir(world.dir)) - {"base.vhd", "package", "out.vhd", "out.vhd.manifest.json"}
    same(left, set(), "files left behind")


def e2e_write_fails(world):
    """The output cannot be written to its end: 255, nothing left."""
    image, package = world.image("--size", "256MiB"), world.package()
    source = Snapshot(image.path)
    before = world.listing()

    for disposition in (signal.SIG_IGN, signal.SIG_DFL):
        def small_files():
            signal.signal(signal.SIGXFSZ, disposition)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        done = subprocess.run([world.args.ibbake, "bake", *world.anchor, image.path, "--size", SIZE, "--drivers",
                               package, "-o", world.path("out.vhd")], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, env=world.env,
                              preexec_fn=small_files)
        same(done.returncode, 255, f"exit status ({done.stderr})")
        check("out.vhd" in done.stderr, f"stderr: {done.stderr}")
        same(sorted(world.listing() - before), [], "files left behind")
        source.unchanged()


def without_descriptors(closed, argv, env):
    """Exit status of a program that is started with these of 0, 1, 2 closed."""
    child = os.fork()
    if not child:
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        os.closerange(3, 64)
        for fd in closed:
            os.close(fd)
        try:
            os.execve(argv[0], argv, env)
        finally:
            os._exit(127)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def e2e_closed_descriptors(world):
    """With standard descriptors closed no file takes their numbers: talk never gets into one."""
    image, package = world.image("--size", "256MiB"), world.package()
    source = Snapshot(image.path)
    bake(world, image, package, world.path("want.vhd"))
    want = content_digest(world.path("want.vhd"))
    env, out = dict(world.env, **EPOCH), world.path("out.vhd")
    for closed in ((0,), (2,), (0, 2), (1,), (0, 1, 2)):
        for fd in closed:  # a device stands there; nothing would be 255: no such file
            argv = [world.args.ibbake, "inspect", f"/dev/fd/{fd}"]
            same(without_descriptors(closed, argv, env), 100, f"{fd} after closing {closed}")
        argv = [world.args.ibbake, "bake", *world.anchor, image.path, "--size", SIZE, "--drivers", package,
                "--progress=plain", "-o", out]
        # without standard output the image is complete, but nobody could be told
        same(without_descriptors(closed, argv, env), 255 if 1 in closed else 0,
             f"exit status without {closed}")
        same(content_digest(out), want, f"output without {closed}")
        os.unlink(out)
        os.unlink(out + ".manifest.json")
    source.unchanged()


def e2e_odd_names(world):
    """Names that are relative, hold blanks, begin with a dash or are no UTF-8."""
    image, package = world.image(*SMALL), world.package()
    for name in (b"plain", b"with blank.vhd", "g\u00fcte.vhd".encode(), b"\xff\xfe.vhd",
                 b"-dash.vhd", b"a\nb.vhd"):
        source, out = b"in-" + name, b"./" + name if name.startswith(b"-") else name
        os.link(image.path, os.path.join(world.dir.encode(), source))
        done = subprocess.run([world.args.ibbake.encode(), b"bake", *(x.encode() for x in world.anchor), source, b"--size",
                               SIZE.encode(), b"--drivers", package.encode(), b"-o", out,
                               b"--json"], capture_output=True, env=world.env, cwd=world.dir)
        same(done.returncode, 0, f"{name!r}: exit status ({done.stderr!r})")
        json.loads(done.stdout.decode("utf-8"))
        check(os.path.exists(os.path.join(world.dir.encode(), name)), f"{name!r}: no output")
        check(os.path.exists(os.path.join(world.dir.encode(), name + b".manifest.json")),
              f"{name!r}: no manifest")


def e2e_terminated(world):
    """SIGTERM: status 143, nothing left."""
    image, package = world.image("--size", "1GiB", "--fill", "96"), world.package()
    source = Snapshot(image.path)
    before = world.listing()
    for delay in (0.02, 0.08):
        p = subprocess.Popen([world.args.ibbake, "bake", *world.anchor, image.path, "--size", SIZE, "--drivers",
                              package, "-o", world.path("out.vhd")], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=world.env)
        time.sleep(delay)
        p.terminate()
        p.stderr.read()
        p.stderr.close()
        check(p.wait() in (143, -15, 0), f"exit status {p.returncode}")
        if p.returncode:
            same(sorted(world.listing() - before), [], "files left behind")
            source.unchanged()
            return
        for f in world.listing() - before:
            os.unlink(world.path(f))
    world.notes.append("every bake was quicker than the signal")
