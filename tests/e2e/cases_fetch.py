# SPDX-License-Identifier: GPL-3.0-or-later
"""ibbake fetch and cache: against nginx, and against servers that behave badly on purpose."""
import gzip
import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import tarfile
import time
import zipfile

from hostile_http import Proxy, Server, answer, etag, good, make_ca, tls
from world import SIZE, Skip, check, find_tool, same

BODY = random.Random(8).randbytes(300_000)
OTHER = random.Random(9).randbytes(300_000)
NOBODY = ("--tries", "1", "--stall-timeout", "3")


def digest(body):
    return hashlib.sha256(body).hexdigest()


class Net:
    """A cache, a catalog of our own, and how ibbake is called with them."""

    def __init__(self, world):
        self.world = world
        self.cache = world.fresh(".cache")
        self.over = world.path("over.json")
        self.servers = []
        self.releases = []
        for name in list(world.env):
            if name.lower().endswith("_proxy") or name in (
                    "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CACHE_HOME"):
                del world.env[name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.servers:
            s.close()

    def server(self, routes, context=None):
        s = Server(routes, context)
        self.servers.append(s)
        return s

    def release(self, name, *urls, sha256=None):
        self.releases.append({
            "id": name, "driver_set": "winof2", "version": "99." + name, "driver_version": None,
            "date": None, "lts": False, "package": name + ".exe", "package_name": "seen",
            "urls": [{"url": u, "basis": "seen", "confidence": "A"} for u in urls],
            "sha256": sha256, "windows": None, "windows_basis": "made by the test",
            "source": "azx", "confidence": "A", **({"sha256_basis": "the test"} if sha256 else {})})
        with open(self.over, "w", encoding="utf-8") as f:
            json.dump({"format": 1, "title": "test", "as_of": "2026-01-01",
                       "releases": self.releases}, f)
        return name

    def argv(self, *args):
        return ["fetch", *args, "--cache-dir", self.cache, "--catalog-dir", self.over]

    def fetch(self, *args, rc=0, env=None):
        return self.world.ibbake(*self.argv(*args), rc=rc, env=env)

    def file(self, *args, rc=0, env=None):
        """The one file of the document."""
        files = self.fetch(*args, "--json", rc=rc, env=env).json()["files"]
        same(len(files), 1, "files")
        return files[0]

    def cached(self):
        """{digest: content} of what lies in the cache; each is what its name says."""
        found = {}
        top = os.path.join(self.cache, "sha256")
        for where, _, files in os.walk(top):
            for name in files:
                with open(os.path.join(where, name), "rb") as f:
                    found[name] = f.read()
                same(digest(found[name]), name, f"{where}/{name}")
                same(os.path.basename(where), name[:2], "folder")
        return found

    def partial(self):
        folder = os.path.join(self.cache, "partial")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def bad(self, name, rc, *texts, args=NOBODY, kept=False):
        """The fetch ends so, and nothing wrong is left in the cache."""
        r = self.fetch(name, *args, rc=rc).says(*texts)
        same(self.cached(), {}, "the cache")
        if not kept:
            same(self.partial(), [], "partial downloads")
        return r


def url(server, path, scheme="http"):
    return f"{scheme}://127.0.0.1:{server.port}{path}"


# ---- answers ----

def e2e_fetch_answers(world):
    """Every bad answer is named, and nothing of it stays."""
    body, d = BODY, digest(BODY)

    def length(n):
        return lambda c, q: answer(c, "200 OK", body, length=n)

    def endless(c, q):
        c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(2000):
            c.sendall(b"1000\r\n" + bytes(4096) + b"\r\n")
            time.sleep(0.01)

    with Net(world) as n:
        s = n.server({
            "/404": lambda c, q: answer(c, "404 Not Found", b"x" * 5000),
            "/403": lambda c, q: answer(c, "403 Forbidden"),
            "/500": lambda c, q: answer(c, "500 Internal Server Error"),
            "/503": lambda c, q: answer(c, "503 Later", headers=["Retry-After: 3600"]),
            "/wrong": good(OTHER),
            "/huge": length(5 << 30),
            "/gzip": lambda c, q: answer(c, "200 OK", gzip.compress(body),
                                         ["Content-Encoding: gzip"]),
            "/flood": lambda c, q: answer(c, "200 OK", body,
                                          [f"X-{i}: {'y' * 90}" for i in range(3000)]),
            "/loop": lambda c, q: answer(c, "302 Found", headers=["Location: /loop2"]),
            "/loop2": lambda c, q: answer(c, "301 Moved", headers=["Location: /loop"]),
            "/ftp": lambda c, q: answer(c, "302 Found", headers=["Location: ftp://x/y"]),
            "/nowhere": lambda c, q: answer(c, "302 Found"),
            "/short": length(len(body) - 5),
            "/empty": lambda c, q: answer(c, "200 OK"),
            "/endless": endless,
            "/junk": lambda c, q: c.sendall(b"what?\r\n\r\n"),
            "/nothing": lambda c, q: None,
            "/cut": good(body, cut=1000),
            "/206": lambda c, q: answer(c, "206 Partial Content", body[5:],
                                        [f"Content-Range: bytes 5-{len(body) - 1}/{len(body)}"]),
            **{f"/far{i}": (lambda i: lambda c, q: answer(
                c, "302 Found", headers=[f"Location: /far{i + 1}"]))(i) for i in range(12)},
        })
        for path, rc, *texts in (
                ("/404", 100, "/404: the server answers 404 (not found)"),
                ("/403", 100, "answers 403 (forbidden)"),
                ("/500", 100, "answers 500"),
                ("/503", 100, "answers 503 and asks to come again in 3600 s"),
                ("/wrong", 100, f"what came: has the digest {digest(OTHER)}, not {d}"),
                ("/short", 100, f"what came: has the digest {digest(body[:-5])}, not {d}"),
                ("/huge", 100, "announces 5368709120 bytes, more than the limit"),
                ("/gzip", 100, "Content-Encoding"),
                ("/flood", 100, "more than 65536 bytes of headers"),
                ("/loop", 100, "/loop2, redirected from", "redirects in a circle"),
                ("/far0", 100, "redirects more than 10 times"),
                ("/ftp", 100, "/ftp: redirects to", "scheme 'ftp'"),
                ("/nowhere", 100, "answers 302"),
                ("/empty", 100, "the server's file is empty"),
                ("/junk", 100, "/junk: "),
                ("/nothing", 100, "/nothing: the connection broke"),
                ("/206", 100, "answers 206")):
            name = n.release("r" + path[1:], url(s, path), sha256=d)
            if rc == 100 and path == "/huge":
                rc = (100, 255)
            n.bad(name, rc, *texts)
        cut = n.release("cut", url(s, "/cut"), sha256=d)
        n.bad(cut, 100, "/cut: the server ended it early", kept=True)
        same([x.split(".")[-1] for x in n.partial()], ["data", "json"], "what stays of it")
        world.ibbake("cache", "prune", "--cache-dir", n.cache).mentions("leftovers: 1 removed")
        same(n.partial(), [], "after prune")
        name = n.release("endless", url(s, "/endless"), sha256=d)
        r = n.fetch(name, "--timeout", "1", rc=240).says("not done within 1 s")
        check("Traceback" not in r.err, str(r))


def e2e_fetch_tries(world):
    """What may pass is tried again, with the rest only; what lasts is given up."""
    with Net(world) as n:
        def once(status, headers=()):
            def route(c, q):
                if q.n == 1:
                    answer(c, status, headers=headers)
                else:
                    good(BODY)(c, q)
            return route

        def reset_once(c, q):
            if q.n == 1:
                c.sendall(b"HTTP/1.1 200 OK\r\nETag: " + etag(BODY).encode() +
                          b"\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY[:100_000])
                time.sleep(0.2)
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                c.close()
            else:
                good(BODY)(c, q)

        s = n.server({"/503": once("503 Busy"), "/429": once("429 Slow", ["Retry-After: 1"]),
                      "/408": once("408 Timeout"), "/reset": reset_once,
                      "/always": lambda c, q: answer(c, "502 Bad Gateway")})
        for path in ("/503", "/429", "/408"):
            began = time.monotonic()
            f = n.file(n.release("t" + path[1:], url(s, path), sha256=digest(BODY)))
            same(f["requests"], 2, path)
            check(time.monotonic() - began >= (1 if path == "/429" else 0.5), f"{path}: no pause")
            same(list(n.cached()), [digest(BODY)], path)
            os.unlink(f["path"])
        f = n.file(n.release("reset", url(s, "/reset"), sha256=digest(BODY)))
        same((f["requests"], f["resumed"]), (2, True), "after a reset")
        same(s.asked("/reset")[1].first, 100_000, "what was asked for")
        os.unlink(f["path"])
        name = n.release("always", url(s, "/always"), sha256=digest(BODY))
        n.bad(name, 100, "3 tries: ", "/always: the server answers 502", args=("--tries", "3"))
        same(len(s.asked("/always")), 3, "requests")
        # a second URL takes over, and the first one's failure is no failure
        both = n.release("both", url(s, "/none"), url(s, "/503"), sha256=digest(BODY))
        check(n.file(both)["url"].endswith("/503"), "the second URL")
        os.unlink(n.file(both)["path"])
        two = n.release("two", url(s, "/none"), url(s, "/always"), sha256=digest(BODY))
        n.bad(two, 100, "/none: the server answers 404", "; http://127.0.0.1", "/always: ")


def e2e_fetch_time(world):
    """Stalled, slow, and nobody there."""
    def stalled(c, q):
        answer(c, "200 OK", BODY[:1000], [f"ETag: {etag(BODY)}"], length=len(BODY))
        s.wait(10)

    def silent(c, q):
        s.wait(10)

    with Net(world) as n:
        s = n.server({"/stalled": stalled, "/silent": silent,
                      "/slow": good(BODY, pace=(2000, 0.1))})
        d = digest(BODY)
        n.bad(n.release("stalled", url(s, "/stalled"), sha256=d), 240, "no byte came for 1 s",
              args=("--tries", "1", "--stall-timeout", "1"), kept=True)
        same(world.ibbake("cache", "prune", "--cache-dir", n.cache, "--json").json()["leftovers"],
             {"removed": 1, "in_use": 0, "bytes": "1000"}, "leftovers")
        n.bad(n.release("silent", url(s, "/silent"), sha256=d), 240, "no byte came for 1 s",
              args=("--tries", "1", "--stall-timeout", "1"))
        r = n.bad(n.release("slow", url(s, "/slow"), sha256=d), 240, "not done within 1 s",
                  args=("--timeout", "1"), kept=True)
        r.says("goes on from here")
        with socket.create_server(("127.0.0.1", 0)) as dead:
            port = dead.getsockname()[1]
        n.bad(n.release("dead", f"http://127.0.0.1:{port}/x", sha256=d), 100, "no connection",
              kept=True)


def e2e_fetch_stopped(world):
    """By a signal, by a full disk, by a cache that cannot be written: named, and gone on later."""
    with Net(world) as n:
        s = n.server({"/f": good(BODY, pace=(10_000, 0.05)), "/quick": good(BODY)})
        n.release("f", url(s, "/f"), sha256=digest(BODY))
        for sig in (signal.SIGINT, signal.SIGTERM):
            before = len(s.log)
            p = subprocess.Popen([world.args.ibbake, *n.argv("f")], env=world.env, text=True,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=world.dir)
            while len(s.log) == before:
                time.sleep(0.01)
            time.sleep(0.2)
            p.send_signal(sig)
            err = p.communicate(timeout=10)[1]
            same(p.returncode, 128 + sig, f"exit status, {err}")
            check("stopped on request" in err, err)
            same(n.cached(), {}, "the cache")
        check(s.log[-1].first, "the second one went on from the first")
        n.fetch("f")
        world.run(["rm", "-rf", n.cache])
        n.release("q", url(s, "/quick"), sha256=digest(BODY))
        r = world.run(["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", world.args.ibbake,
                       *n.argv("q")], rc=255)
        r.says("File too large")
        same(n.cached(), {}, "the cache")
        n.fetch("q")
        # read-only, what is there is still used
        for top, dirs, files in os.walk(n.cache, topdown=False):
            os.chmod(top, 0o500)
        try:
            same(n.file("q")["state"], "cached", "from a read-only cache")
            world.ibbake("cache", "verify", "--cache-dir", n.cache)
            n.release("x", url(s, "/quick"), sha256=digest(OTHER))
            n.fetch("x", rc=255).says("Permission denied")
        finally:
            for top, dirs, files in os.walk(n.cache):
                os.chmod(top, 0o700)


# ---- what is resumed, and what is not ----

def interrupted(n, name, *args):
    """Fetch until the server's answer ends early, once."""
    n.fetch(name, "--tries", "1", *args, rc=100)


def e2e_fetch_resume(world):
    """A part is gone on with only when it is the same file still."""
    ca = world.fresh(".ca")
    os.mkdir(ca)
    make_ca(ca, find_tool("openssl") or "openssl")
    state = {"body": BODY, "tag": True, "mode": "cut"}

    then = "Mon, 01 Jan 2024 00:00:00 GMT"
    dates = [f"Last-Modified: {then}", "Date: Tue, 02 Jan 2024 00:00:00 GMT"]

    def route(c, q):
        body, first = state["body"], q.first
        if state["mode"] == "cut" and state["tag"] == "date":
            answer(c, "200 OK", body[:100_000], dates, length=len(body))
        elif state["mode"] == "date":
            answer(c, "206 Partial Content", body[first:], dates + [
                f"Content-Range: bytes {first}-{len(body) - 1}/{len(body)}"])
        elif state["mode"] == "cut":
            good(body, tag=state["tag"], cut=100_000)(c, q)
        elif state["mode"] == "no ranges":
            good(body, ranges=False)(c, q)
        elif state["mode"] == "wrong range" and first:
            answer(c, "206 Partial Content", body[first + 7:],
                   [f"Content-Range: bytes {first + 7}-{len(body) - 1}/{len(body)}"])
        elif state["mode"] == "416" and first:
            answer(c, "416 Range Not Satisfiable", b"", [f"Content-Range: bytes */{len(body)}"])
        elif state["mode"] == "silent" and first:  # does not say of what
            answer(c, "206 Partial Content", body[first:],
                   [f"Content-Range: bytes {first}-{len(body) - 1}/{len(body)}"])
        elif state["mode"] == "other" and first:  # ignores If-Range
            answer(c, "206 Partial Content", body[first:],
                   [f"ETag: {etag(body)}",
                    f"Content-Range: bytes {first}-{len(body) - 1}/{len(body)}"])
        else:
            good(body, tag=state["tag"])(c, q)

    with Net(world) as n:
        s = n.server({"/f": route}, tls(ca))
        cacert = ("--cacert", os.path.join(ca, "ca.pem"), "--tries", "1")

        def case(mode, sha256, requests, resumed, tag=True, now=BODY):
            world.run(["rm", "-rf", n.cache])
            s.log.clear()
            state.update(body=BODY, tag=tag, mode="cut")
            n.releases.clear()
            n.release("f", url(s, "/f", "https"), sha256=sha256)
            interrupted(n, "f", *cacert[:2])
            state.update(body=now, mode=mode)
            f = n.file("f", *cacert)
            same((f["requests"], f["resumed"]), (requests, resumed), f"{mode}, {sha256}, {tag}")
            same(list(n.cached()), [digest(now)], mode)
            return [r.first for r in s.asked("/f")[1:]]

        d = digest(BODY)
        same(case("good", None, 1, True), [100_000], "by its ETag")
        same(s.asked("/f")[1].headers["if-range"], etag(BODY), "If-Range")
        same(case("good", None, 1, False, tag=False), [None], "without validator and digest")
        same(case("good", d, 1, True, tag=False), [100_000], "by its digest")
        same(case("good", None, 1, False, now=OTHER), [100_000], "another file by now: 200")
        same(case("other", None, 2, False, now=OTHER), [100_000, None], "If-Range ignored")
        same(case("silent", None, 2, False, now=OTHER), [100_000, None], "no ETag in a 206")
        same(case("silent", d, 1, True), [100_000], "the same, the digest is known")
        same(case("date", None, 1, True, tag="date"), [100_000], "by its date")
        same(s.asked("/f")[1].headers["if-range"], then, "If-Range, a date")
        same(case("no ranges", None, 1, False), [100_000], "ranges refused")
        same(case("wrong range", None, 2, False), [100_000, None], "another range")
        same(case("416", d, 2, False), [100_000, None], "416")
        # wrong bytes glued together by a server that lies: found by the digest, fetched anew
        state.update(body=OTHER, tag=False, mode="cut")
        world.run(["rm", "-rf", n.cache])
        n.releases.clear()
        n.release("f", url(s, "/f", "https"), sha256=d)
        interrupted(n, "f", *cacert[:2])
        state.update(body=BODY, mode="good")
        f = n.file("f", *cacert)
        same((f["requests"], list(n.cached())), (2, [d]), "a part of another file")


# ---- http, https, certificates ----

def e2e_fetch_insecure(world):
    """http without a known digest: over https, or not at all, unless that is asked for."""
    ca = world.fresh(".ca")
    os.mkdir(ca)
    make_ca(ca, find_tool("openssl") or "openssl")
    cacert = ("--cacert", os.path.join(ca, "ca.pem"), *NOBODY)
    with Net(world) as n:
        plain = n.server({"/f": good(BODY),
                          "/endless": lambda c, q: answer(c, "200 OK", BODY, length=-1)})
        safe = n.server({"/f": good(BODY),
                         "/down": lambda c, q: answer(
                             c, "302 Found", headers=["Location: " + url(plain, "/f")]),
                         "/same": lambda c, q: answer(
                             c, "302 Found", headers=["Location: " + url(safe, "/same")])},
                        tls(ca))
        r = n.bad(n.release("plain", url(plain, "/f")), 100,
                  "not taken over http, as nobody knows the digest of plain.exe",
                  "no TLS connection", "--allow-insecure-fetch", args=cacert)
        same(plain.log, [], "requests over http")
        with socket.create_server(("127.0.0.1", 0)) as mute:  # takes the connection, says nothing
            at = f"http://127.0.0.1:{mute.getsockname()[1]}/f"
            n.bad(n.release("mute", at), 100, "not taken over http", "no byte came for 1 s",
                  args=("--stall-timeout", "1"))
        check(url(plain, "/f", "https") in r.err, f"the https URL is not named\n{r}")
        n.bad(n.release("down", url(safe, "/down", "https")), 100, "not taken over http",
              "--allow-insecure-fetch", args=cacert)
        n.bad(n.release("same", url(safe, "/same", "https")), 100, "redirects in a circle",
              args=cacert)
        # an http URL whose https twin works
        f = n.file(n.release("up", url(safe, "/f")), *cacert)
        same((f["url"], f["insecure"], f["pinned"]), (url(safe, "/f", "https"), False, "none"),
             "over https")
        os.unlink(f["path"])
        # with the flag, and then without it again: what came so is not taken for more
        for name in ("plain", "down"):
            f = n.file(name, *cacert, "--allow-insecure-fetch")
            same((f["url"], f["insecure"]), (url(plain, "/f"), True), "over http")
            same(n.file(name, *cacert, "--allow-insecure-fetch")["state"], "cached", name)
            n.fetch(name, *cacert, rc=100).says("not taken over http")
            os.unlink(f["path"])
        n.fetch("plain", *cacert, "--allow-insecure-fetch").mentions("anybody on the way")
        n.fetch(n.release("how-long", url(plain, "/endless")), *cacert, "--allow-insecure-fetch",
                rc=100).says("does not say how long the file is")
        for path in n.cached():
            os.unlink(os.path.join(n.cache, "sha256", path[:2], path))
        f = n.file(n.release("so-long", url(plain, "/endless"), sha256=digest(BODY)), *NOBODY)
        same((f["state"], f["requests"]), ("fetched", 1), "of unknown length, by its digest")
        os.unlink(f["path"])
        # with a known digest http is as good
        f = n.file(n.release("known", url(plain, "/f"), sha256=digest(BODY)), *NOBODY)
        same((f["insecure"], f["pinned"]), (False, "published"), "http with a digest")


def e2e_fetch_tls(world):
    """Certificates that do not vouch, and secrets that are not shown."""
    ca, other = world.fresh(".ca"), world.fresh(".ca")
    for folder in (ca, other):
        os.mkdir(folder)
        make_ca(folder, find_tool("openssl") or "openssl")
    with Net(world) as n:
        s = n.server({"/f": good(BODY)}, tls(ca))
        wrong = n.server({"/f": good(BODY)}, tls(ca, "other"))
        name = n.release("ca", url(s, "/f", "https"), sha256=digest(BODY))
        n.bad(name, 100, "no known CA vouches", "--cacert")
        n.bad(name, 100, "no known CA vouches",
              args=(*NOBODY, "--cacert", os.path.join(other, "ca.pem")))
        cacert = ("--cacert", os.path.join(ca, "ca.pem"))
        n.bad(n.release("name", url(wrong, "/f", "https"), sha256=digest(BODY)), 100,
              "not for this server", args=(*NOBODY, *cacert))
        n.fetch("ca", "--cacert", world.path("missing.pem"), rc=2).says("CA certificates")
        secret = url(s, "/f?sig=SECRET2", "https").replace("//", "//user:SECRET1@")
        f = n.fetch(n.release("secret", secret, sha256=digest(BODY)), *cacert, "--json")
        doc = f.json()["files"][0]
        same(doc["url"], url(s, "/f?...", "https"), "the URL as shown")
        check("authorization" in s.log[-1].headers, "the password did not reach the server")
        check("SECRET" not in json.dumps(doc) and "SECRET" not in f.err, f"a secret is shown\n{f}")
        with open(os.path.join(n.cache, "meta", digest(BODY) + ".json"), encoding="utf-8") as g:
            check("SECRET" not in g.read(), "a secret is stored")
        os.unlink(doc["path"])
        # the environment, as curl's tool reads it
        n.fetch("ca", *NOBODY, env={"CURL_CA_BUNDLE": cacert[1]})
        os.unlink(doc["path"])
        n.fetch("ca", *NOBODY, env={"SSL_CERT_FILE": cacert[1]})


def e2e_fetch_proxy(world):
    """Through a proxy, around it, and not at all."""
    ca = world.fresh(".ca")
    os.mkdir(ca)
    make_ca(ca, find_tool("openssl") or "openssl")
    cacert = ("--cacert", os.path.join(ca, "ca.pem"), *NOBODY)
    with Net(world) as n:
        s, plain = n.server({"/f": good(BODY)}, tls(ca)), n.server({"/f": good(BODY)})
        proxy, closed = Proxy(), Proxy("403 Forbidden")
        n.servers += [proxy, closed]
        at = f"http://127.0.0.1:{proxy.port}"
        n.release("tls", url(s, "/f", "https"), sha256=digest(BODY))
        n.release("http", url(plain, "/f"), sha256=digest(BODY))

        def asked(name, want, *args, env=None):
            proxy.log.clear()
            f = n.file(name, *cacert, *args, env=env)
            same([r.method for r in proxy.log], want, f"{name}, {args}, {env}")
            os.unlink(f["path"])

        asked("tls", ["CONNECT"], "--proxy", at)
        asked("http", ["GET"], "--proxy", at)
        asked("tls", ["CONNECT"], env={"https_proxy": at})
        asked("tls", ["CONNECT"], env={"ALL_PROXY": at})
        asked("http", ["GET"], env={"http_proxy": at})
        asked("http", [], env={"HTTP_PROXY": at, "https_proxy": at})
        asked("tls", [], env={"https_proxy": at, "no_proxy": "127.0.0.1"})
        asked("tls", [])
        n.bad("tls", 100, "the proxy answers 403",
              args=(*cacert, "--proxy", f"http://127.0.0.1:{closed.port}"))


# ---- interruptions and company ----

def killed(world, n, argv, body, rng):
    """Killed 20 times: four at any moment, the others after some more bytes of it came."""
    def here():
        return sum(os.path.getsize(os.path.join(n.cache, "partial", f)) for f in n.partial()
                   if f.endswith(".data"))

    for i in range(20):
        had = here()
        p = subprocess.Popen(argv, env=world.env, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, cwd=world.dir)
        end = time.monotonic() + (rng.uniform(0, 0.1) if i % 5 == 0 else 10)
        try:
            while time.monotonic() < end and p.poll() is None and here() <= had:
                time.sleep(0.002)
        except FileNotFoundError:
            pass  # it is whole, and has its name
        time.sleep(rng.uniform(0, 0.02))
        p.kill()
        p.wait()
        same([d for d in n.cached() if d != digest(body)], [], "wrong files")


def e2e_fetch_kill(world):
    """Killed 20 times at any moment: the next one goes on, and nothing wrong ever appears."""
    rng = random.Random(20)
    body = rng.randbytes(2_000_000)
    with Net(world) as n:
        s = n.server({"/f": good(body, pace=(16_384, 0.015))})
        n.release("f", url(s, "/f"), sha256=digest(body))
        argv = [world.args.ibbake, *n.argv("f", "--progress", "none")]
        killed(world, n, argv, body, rng)
        f = n.file("f")
        same(list(n.cached()), [digest(body)], "the cache at the end")
        same(n.partial(), [], "what is left beside it")
        ranges = [r.first for r in s.asked("/f") if r.first]
        check(len(ranges) >= 10 and ranges == sorted(ranges), f"ranges asked for: {ranges}")
        world.notes.append(f"{len(s.asked('/f'))} requests, {len(ranges)} for a rest; "
                           f"at last {f['state']}")
        same(world.ibbake("cache", "verify", "--cache-dir", n.cache, "--json").json()["files"][0]
             ["state"], "right", "verify")


def e2e_fetch_together(world):
    """Two and eight at once: one download; a killed one does not block the others."""
    with Net(world) as n:
        s = n.server({"/f": good(BODY, pace=(30_000, 0.05))})
        for count, name in ((2, "two"), (8, "eight")):
            s.log.clear()
            world.run(["rm", "-rf", n.cache])
            n.release(name, url(s, "/f"), sha256=digest(BODY))
            argv = [world.args.ibbake, *n.argv(name, "--json", "--lock", world.path(name))]
            all_ = [subprocess.Popen(argv, env=world.env, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True, cwd=world.dir)
                    for _ in range(count)]
            done = [p.communicate(timeout=60) for p in all_]
            same([p.returncode for p in all_], [0] * count, f"exit statuses, {done}")
            states = [json.loads(out)["files"][0]["state"] for out, _ in done]
            same(sorted(states), ["cached"] * (count - 1) + ["fetched"], "states")
            same(len(s.log), 1, "downloads")
            with open(world.path(name), encoding="utf-8") as f:
                same(len(json.load(f)["downloads"]), 1, "pins")
        # the one at work is stopped, then killed: the other takes over
        s.log.clear()
        world.run(["rm", "-rf", n.cache])
        argv = [world.args.ibbake, *n.argv("two")]
        first = subprocess.Popen(argv, env=world.env, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, cwd=world.dir)
        while not s.log:
            time.sleep(0.01)
        time.sleep(0.2)
        second = subprocess.Popen(argv, env=world.env, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, cwd=world.dir)
        time.sleep(0.1)
        swept = world.ibbake("cache", "prune", "--cache-dir", n.cache, "--json").json()
        same((swept["leftovers"]["removed"], swept["leftovers"]["in_use"] > 0), (0, True),
             "prune beside a download")
        first.kill()
        first.wait()
        same(second.wait(timeout=30), 0, "the one that waited")
        check(len(s.log) == 2 and s.log[1].first, "it went on from what was there")
        same(list(n.cached()), [digest(BODY)], "the cache")


# ---- pins, offline, the cache's own commands ----

def e2e_fetch_lock(world):
    """What nobody published is pinned by the first fetch, and held against it afterwards."""
    ca = world.fresh(".ca")
    os.mkdir(ca)
    make_ca(ca, find_tool("openssl") or "openssl")
    cacert = ("--cacert", os.path.join(ca, "ca.pem"), *NOBODY)
    lock = world.path("site.lock")
    serve = {"body": BODY}
    with Net(world) as n:
        s = n.server({"/f": lambda c, q: good(serve["body"])(c, q)}, tls(ca))
        n.release("f", url(s, "/f", "https"))
        n.fetch("f", *cacert).mentions("nothing pins f.exe")
        f = n.file("f", *cacert, "--lock", lock)
        same((f["state"], f["pinned"]), ("cached", "first-fetch"), "the first time")
        with open(lock, encoding="utf-8") as g:
            doc = json.load(g)
        same(doc, {"schema": "ibbake-lock/1", "downloads": [{
            "release": "f", "file": "f.exe", "url": url(s, "/f", "https"),
            "sha256": digest(BODY), "size_bytes": str(len(BODY)), "pinned": "first-fetch",
            "insecure": False}]}, "the lock file")
        same(n.file("f", *cacert, "--lock", lock)["pinned"], "lock", "the second time")
        # the server has another file by now, and the cache none
        world.run(["rm", "-rf", n.cache])
        serve["body"] = OTHER
        n.bad("f", 100, f"has the digest {digest(OTHER)}, not {digest(BODY)}",
              args=(*cacert, "--lock", lock))
        n.bad("f", 100, "not in the package cache", "offline",
              args=("--offline", "--lock", lock))
        serve["body"] = BODY
        n.fetch("f", *cacert, "--lock", lock)
        same(n.file("f", "--offline", "--lock", lock)["state"], "cached", "offline")
        # the catalog and the lock file contradict each other
        n.releases.clear()
        n.release("f", url(s, "/f", "https"), sha256=digest(OTHER))
        n.fetch("f", "--lock", lock, rc=100).says("pins the digest", "the driver catalog says")
        for text, say in (('{"schema":"ibbake-lock/1","packages":[],"downloads":[{"release":"f"}]}',
                           'lacks "release" or "sha256"'),
                          ('{"schema":"ibbake-lock/1","packages":[],"downloads":7}', "no list")):
            with open(lock, "w", encoding="utf-8") as g:
                g.write(text)
            n.fetch("f", "--lock", lock, rc=255).says(say)


def e2e_fetch_sizes(world):
    """By size and Windows: what the catalog recommends, once each, or its refusal."""
    with Net(world) as n:
        n.release("unused", "https://127.0.0.1:1/x")
        r = n.fetch("--size", "Standard_HB120rs_v3", "--size", "HB120rs_v2", "--os", "server2022",
                    "--dry-run", "--json").json()
        same(len(r["files"]), 1, "releases")
        same(r["files"][0]["for"], [
            {"size": "Standard_HB120rs_v3", "windows": "server2022"},
            {"size": "Standard_HB120rs_v2", "windows": "server2022"}], "for")
        same((r["files"][0]["state"], r["dry_run"]), ("missing", True), "a dry run")
        check(not os.path.exists(n.cache), "a dry run made the cache")
        n.fetch("--size", "Standard_HB120rs_v3", rc=2).says("--size and --os go together")
        n.fetch(rc=2).says("fetch needs RELEASE")
        n.fetch("no-such", rc=100).says("no-such")
        n.fetch("--size", "Standard_NC24r", "--os", "server2016", rc=100).says("never published")
        f = world.ibbake("fetch", n.release("bare"), "--cache-dir", n.cache, "--catalog-dir",
                         n.over, rc=100).says("no URL of it is known", "ibbake cache add FILE")
        check("--release bare" in f.err, f"the way out is not named\n{f}")


def e2e_cache(world):
    """list, add, verify, prune."""
    with Net(world) as n:
        n.release("a", sha256=digest(BODY))
        n.release("b")
        for name, body in (("a.exe", BODY), ("b.exe", OTHER), ("x.exe", b"x" * 100)):
            with open(world.path(name), "wb") as f:
                f.write(body)
        lock = world.path("c.lock")

        def cache(*args, rc=0):
            catalog = ("--catalog-dir", n.over) if args[0] == "add" else ()
            return world.ibbake("cache", *args, *catalog, "--cache-dir", n.cache, rc=rc)

        same(cache("list", "--json").json()["files"], [], "no cache so far")
        check(not os.path.exists(n.cache), "list made the cache")
        got = cache("add", world.path("a.exe"), world.path("b.exe"), world.path("x.exe"),
                    "--lock", lock, "--json").json()
        same([(f["release"], f["pinned"]) for f in got["files"]],
             [("a", "published"), ("b", "first-import"), (None, "none")], "added")
        same(len(got["warnings"]), 1, "warnings")
        cache("add", world.path("x.exe"), "--release", "a", rc=100).says(
            "x.exe: has the digest", digest(BODY))
        cache("add", world.path("x.exe"), "--release", "b", "--lock", lock, rc=100).says(
            "x.exe: has the digest")
        cache("add", world.path("no.exe"), rc=100).says("there is no such file")
        same(sorted(n.cached()), sorted(map(digest, (BODY, OTHER, b"x" * 100))), "the cache")
        same(n.file("b", "--offline", "--lock", lock)["state"], "cached", "after the import")
        same(len(cache("list", "--json").json()["files"]), 3, "listed")
        cache("list").mentions("a.exe, release a", "b.exe, release b")
        # metadata is a comfort only
        world.run(["rm", "-rf", os.path.join(n.cache, "meta")])
        same(n.file("a", "--offline")["state"], "cached", "without metadata")
        # a damaged file is found, and replaced
        path = os.path.join(n.cache, "sha256", digest(BODY)[:2], digest(BODY))
        os.chmod(path, 0o600)
        with open(path, "r+b") as f:
            f.write(b"damage")
        n.fetch("a", "--offline", rc=100).says("not in the package cache")
        doc = cache("verify", "--json", rc=255).json()
        same([f["state"] for f in doc["files"] if f["sha256"] == digest(BODY)], ["wrong"], "verify")
        same(sorted(f["state"] for f in doc["files"]), ["right", "right", "wrong"], "verify")
        cache("add", world.path("a.exe"))
        cache("verify")
        with open(path, "wb") if os.access(path, os.W_OK) else open(world.fresh(), "wb") as f:
            pass
        os.chmod(path, 0o600)
        with open(path, "r+b") as f:
            f.write(b"damage")
        same(sorted(f["state"] for f in cache("verify", "--remove", "--json").json()["files"]),
             ["removed", "right", "right"], "verify --remove")
        check(not os.path.exists(path), "the wrong file is still there")
        cache("verify")
        same(len(cache("prune", "--older-than", "1d", "--json").json()["files"]), 2, "kept")
        cache("prune", "--older-than", "0")
        same(n.cached(), {}, "after prune")
        cache("prune", "--older-than", "soon", rc=2)
        cache("sweep", rc=2).says("list, verify, prune, add")


# ---- bake without --drivers ----

def e2e_fetch_bake(world):
    """A bake that names no packages takes those of the cache; what is missing is told."""
    image = world.image("--size", "64MiB", "--windows", "server2022")
    archive, lock = world.path("installer.zip"), world.path("bake.lock")
    package = world.package()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as z:
        for name in sorted(os.listdir(package)):
            z.write(os.path.join(package, name), "drivers/" + name)
    with Net(world) as n:
        cache = ("--cache-dir", n.cache)
        bake = ["bake", image.path, "--size", SIZE, *cache, "-o", world.path("out.vhd")]
        world.refused(bake, 100, f"ibbake fetch --size {SIZE} --os server2022", n.cache)
        world.ibbake("plan", image.path, "--size", SIZE, rc=100).says(
            world.path(".cache/ibbake"))
        plan = world.ibbake("fetch", "--size", SIZE, "--os", "server2022", "--dry-run", "--json",
                            *cache).json()
        release = plan["files"][0]["release"]
        world.ibbake("cache", "add", archive, "--release", release, "--lock", lock, *cache)
        doc = world.ibbake("plan", image.path, "--size", SIZE, *cache, "--json").json()
        check(any("taken from the package cache: installer.zip" in w and "nothing pins it" in w
                  for w in doc["warnings"]), f"warnings: {doc['warnings']}")
        # the lock file pins a download so far; the bake adds its packages, and keeps the pin
        world.ibbake(*bake, "--lock", lock)
        with open(lock, encoding="utf-8") as f:
            doc = json.load(f)
        same((len(doc["packages"]), len(doc["downloads"])), (1, 1), "the lock file")
        with open(world.path("out.vhd.manifest.json"), encoding="utf-8") as f:
            baked = json.load(f)
        warnings = baked["warnings"]
        same(baked["archives"], [{"file": "installer.zip", "path": None, "kind": "zip",
                                  "unverified": None, "sha256": doc["downloads"][0]["sha256"]}],
             "archives of the manifest")
        check(any("the one of the lock file" in w for w in warnings), f"warnings: {warnings}")
        world.ibbake("verify", world.path("out.vhd"), "--manifest",
                     world.path("out.vhd.manifest.json"))
        # the file in the cache is another one by now
        path = os.path.join(n.cache, "sha256", doc["downloads"][0]["sha256"][:2],
                            doc["downloads"][0]["sha256"])
        os.chmod(path, 0o600)
        with open(path, "ab") as f:
            f.write(b"x")
        bake[-1] = world.path("out2.vhd")
        world.refused([*bake, "--lock", lock], 255, "cache verify")
        os.unlink(path)
        world.refused([*bake, "--lock", lock], 100, "ibbake fetch")
        # packages that are locked stay locked, whatever else the file pins
        other = world.package("--version", "9.9.9.9", name="other")
        world.refused(["bake", image.path, "--size", SIZE, "--drivers", other, "--lock", lock,
                       "-o", world.path("out2.vhd")], 100, "does not lock")
        # nor does a pin open a file that locks out every package
        with open(lock, "w", encoding="utf-8") as f:
            f.write('{"schema":"ibbake-lock/1","packages":[]}')
        world.ibbake("cache", "add", archive, "--release", release, "--lock", lock, *cache)
        with open(lock, encoding="utf-8") as f:
            doc = json.load(f)
        same((doc["packages"], len(doc["downloads"])), ([], 1), "the lock file")
        world.refused(["bake", image.path, "--size", SIZE, "--drivers", other, "--lock", lock,
                       "-o", world.path("out2.vhd")], 100, "does not know")


def e2e_fetch_bundle(world):
    """A bundle that names no packages is made of those of the cache, and baked from without it."""
    image = world.image("--size", "64MiB", "--windows", "server2022")
    archive, lock = world.path("installer.zip"), world.path("bundle.lock")
    out, out2 = world.path("a.ibbundle"), world.path("b.ibbundle")
    package = world.package()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as z:
        for name in sorted(os.listdir(package)):
            z.write(os.path.join(package, name), "drivers/" + name)
    with open(archive, "rb") as f:
        sha256 = digest(f.read())
    with Net(world) as n:
        cache = ("--cache-dir", n.cache)
        create = ["bundle", "create", *world.anchor, "--size", SIZE, "--os", "server2022",
                  "--os", "server2019"]
        hint = f"'ibbake fetch --size {SIZE} --os server2022' fills"
        world.refused([*create, *cache, "-o", out], 100, "none of the 0 INF file(s) found", hint,
                      n.cache)
        world.ibbake(*create, "-o", out, rc=100).says(world.path(".cache/ibbake"), hint)
        for verb in ("check", "unpack"):
            world.ibbake("bundle", verb, out, *cache, *(["-o", out2] if verb == "unpack" else []),
                         rc=2).says("takes no --cache-dir")
        wanted = world.ibbake("fetch", "--size", SIZE, "--os", "server2022", "--os", "server2019",
                              "--dry-run", "--json", *cache).json()
        for f in wanted["files"]:
            world.ibbake("cache", "add", archive, "--release", f["release"], "--lock", lock, *cache)
        r = world.ibbake(*create, *cache, "-o", out).mentions("taken from the package cache: "
                                                              "installer.zip", "nothing pins it")
        check("ibbdemo.inf" in r.out, f"{r}")
        world.ibbake(*create, *cache, "-o", out2, "--lock", lock).mentions(
            "its digest is the one of the lock file")
        doc = world.ibbake("bundle", "check", out2, "--json").json()
        same([p["directory"] for p in doc["packages"]], ["packages/ibbdemo-1.0.0.0"], "packages")
        with tarfile.open(out2) as t:
            same(json.load(t.extractfile("bundle.json"))["sources"],
                 [{"name": "installer.zip", "sha256": sha256, "pinned": "first-import",
                   "insecure": False}], "sources")
        # the file in the cache is another one by now
        path = os.path.join(n.cache, "sha256", sha256[:2], sha256)
        os.chmod(path, 0o600)
        with open(path, "ab") as f:
            f.write(b"x")
        world.refused([*create, *cache, "-o", world.path("c.ibbundle")], 255, "cache verify")
        os.unlink(path)
        world.refused([*create, *cache, "-o", world.path("c.ibbundle"), "--lock", lock], 100, hint)
        world.ibbake("bake", *world.anchor, image.path, "--size", SIZE, "--bundle", out2, *cache,
                     "-o", world.path("out.vhd"))


# ---- a real server ----

class Nginx:
    def __init__(self, world, root, ca):
        tool = find_tool("nginx")
        if not tool:
            raise Skip("nginx is missing")
        self.dir = world.fresh(".nginx")
        os.makedirs(os.path.join(self.dir, "tmp"))
        ports = []
        for _ in range(2):
            with socket.create_server(("127.0.0.1", 0)) as s:
                ports.append(s.getsockname()[1])
        self.http, self.https = ports
        paths = "".join(f"{k}_temp_path {self.dir}/tmp/{k};\n" for k in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf = os.path.join(self.dir, "nginx.conf")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"""daemon off; master_process off; pid {self.dir}/pid;
error_log {self.dir}/error.log;
events {{}}
http {{ {paths}
  log_format ours '$status "$http_range" "$http_if_range" "$http_user_agent"';
  access_log {self.dir}/access.log ours;
  server {{
    listen 127.0.0.1:{self.http}; listen 127.0.0.1:{self.https} ssl;
    ssl_certificate {ca}/server.pem; ssl_certificate_key {ca}/server.key;
    root {root};
    location /slow/ {{ limit_rate 2m; alias {root}/; }}
    location /moved/ {{ return 302 https://127.0.0.1:{self.https}/; }}
    location = /moved/f {{ return 302 /f; }}
  }} }}
""")
        self.process = subprocess.Popen([tool, "-p", self.dir, "-c", conf, "-e",
                                         f"{self.dir}/error.log"], env=world.env,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.https), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.close()
        raise Skip("nginx did not start")

    def log(self):
        with open(os.path.join(self.dir, "access.log"), encoding="utf-8") as f:
            return f.read().splitlines()

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=10)


def e2e_fetch_nginx(world):
    """A real server: whole, redirected, killed 20 times, resumed by its ETag."""
    ca, root = world.fresh(".ca"), world.fresh(".www")
    os.mkdir(ca)
    os.mkdir(root)
    make_ca(ca, find_tool("openssl") or "openssl")
    body = random.Random(7).randbytes(4_000_000)
    with open(os.path.join(root, "f"), "wb") as f:
        f.write(body)
    server = Nginx(world, root, ca)
    cacert = ("--cacert", os.path.join(ca, "ca.pem"))
    rng = random.Random(21)
    try:
        with Net(world) as n:
            base = f"https://127.0.0.1:{server.https}"
            f = n.file(n.release("moved", base + "/moved/f"), *cacert)
            same((f["url"], f["sha256"]), (base + "/f", digest(body)), "redirected")
            check(re.search(r'^200 "-" "-" "ibbake/[0-9.]+"$', server.log()[-1]), server.log()[-1])
            os.unlink(f["path"])
            # nobody knows the digest: it is resumed by the server's ETag alone
            n.release("slow", base + "/slow/f")
            argv = [world.args.ibbake, *n.argv("slow", *cacert, "--progress", "none")]
            killed(world, n, argv, body, rng)
            n.fetch("slow", *cacert)
            same(list(n.cached()), [digest(body)], "the cache at the end")
            rest = [x for x in server.log() if x.startswith("206 ")]
            check(len(rest) >= 10, f"answers with a rest: {server.log()}")
            check(all('"bytes=' in x and '"\\x22' in x for x in rest), f"If-Range: {rest[:3]}")
            world.notes.append(f"{len(rest)} answers with a rest")
            n.fetch(n.release("gone", base + "/gone"), *cacert, rc=100).says("404 (not found)")
    finally:
        server.close()
