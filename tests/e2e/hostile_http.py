# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers on loopback that behave badly on purpose, and a proxy; each remembers what it was asked.

Bounded: every connection ends within LIFETIME seconds, the servers with close()."""
import hashlib
import os
import socket
import ssl
import subprocess
import threading
import time

LIFETIME = 20


class Request:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ", 2)
        self.headers = {}
        for line in lines[1:]:
            if ":" in line:
                k, v = line.split(":", 1)
                self.headers[k.lower()] = v.strip()

    @property
    def first(self):
        """The first byte that is asked for; None: all."""
        r = self.headers.get("range")
        return int(r.split("=")[1].split("-")[0]) if r else None


class Listener:
    """Accepts connections and gives each to self.serve() in a thread."""

    def __init__(self, context=None):
        self.context = context
        self.log = []
        self.stopping = False
        self.lock = threading.Lock()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(0.2)
        self.port = self.socket.getsockname()[1]
        self.threads = []
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def accept(self):
        while not self.stopping:
            try:
                conn, _ = self.socket.accept()
            except (TimeoutError, socket.timeout):
                continue
            except OSError:
                return
            t = threading.Thread(target=self.one, args=(conn,), daemon=True)
            t.start()

    def one(self, conn):
        conn.settimeout(LIFETIME)
        try:
            if self.context:
                conn = self.context.wrap_socket(conn, server_side=True)
            self.serve(conn)
        except (OSError, ValueError):
            pass
        finally:
            conn.close()

    @staticmethod
    def read_head(conn):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = conn.recv(4096)
            if not piece or len(data) > 65536:
                return None
            if piece[0] == 0x16 and not data:  # a TLS client hello
                conn.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                return None
            data += piece
        return Request(data.split(b"\r\n\r\n")[0])

    def wait(self, seconds):
        """Sleep, but not beyond close()."""
        end = time.monotonic() + min(seconds, LIFETIME)
        while time.monotonic() < end and not self.stopping:
            time.sleep(0.02)

    def close(self):
        self.stopping = True
        self.socket.close()
        self.acceptor.join(timeout=2)


class Server(Listener):
    """Paths are behaviours: routes[path](conn, request). One request a connection."""

    def __init__(self, routes=None, context=None):
        self.routes = routes or {}
        super().__init__(context)

    def serve(self, conn):
        req = self.read_head(conn)
        if not req:
            return
        with self.lock:
            self.log.append(req)
            n = sum(1 for r in self.log if r.target == req.target)
        req.n = n
        route = self.routes.get(req.target.split("?")[0])
        if route:
            route(conn, req)
        else:
            answer(conn, "404 Not Found", b"no")
        try:
            conn.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def asked(self, path):
        return [r for r in self.log if r.target == path]


def answer(conn, status, body=b"", headers=(), length=None):
    lines = [f"HTTP/1.1 {status}", "Connection: close"]
    if length is None:
        length = len(body)
    if length >= 0:
        lines.append(f"Content-Length: {length}")
    lines += headers
    conn.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)


def etag(body):
    return '"%s"' % hashlib.sha256(body).hexdigest()[:16]


def good(body, tag=True, pace=None, ranges=True, cut=None):
    """A well-behaved file; `pace`: (bytes, seconds) pieces; `cut`: end every answer after so many
    bytes, though more were announced."""
    def route(conn, req):
        first = req.first if ranges else None
        fits = not tag or req.headers.get("if-range") in (None, etag(body))
        headers = [f"ETag: {etag(body)}"] if tag else []
        if first is not None and fits:
            if first >= len(body):
                answer(conn, "416 Range Not Satisfiable", b"",
                       [f"Content-Range: bytes */{len(body)}"])
                return
            part = body[first:]
            status = "206 Partial Content"
            headers.append(f"Content-Range: bytes {first}-{len(body) - 1}/{len(body)}")
        else:
            part, status = body, "200 OK"
        sent = part if cut is None else part[:cut]
        if not pace:
            answer(conn, status, sent, headers, length=len(part))
            return
        answer(conn, status, b"", headers, length=len(part))
        for i in range(0, len(sent), pace[0]):
            conn.sendall(sent[i:i + pace[0]])
            time.sleep(pace[1])
    return route


class Proxy(Listener):
    """CONNECT to loopback, and plain requests by absolute URL."""

    def __init__(self, refuse=None):
        self.refuse = refuse
        super().__init__()

    def serve(self, conn):
        req = self.read_head(conn)
        if not req:
            return
        with self.lock:
            self.log.append(req)
        if self.refuse:
            answer(conn, self.refuse)
            return
        if req.method == "CONNECT":
            port = int(req.target.rsplit(":", 1)[1])
            with socket.create_connection(("127.0.0.1", port), timeout=LIFETIME) as up:
                conn.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=pump, args=(up, conn), daemon=True)
                back.start()
                pump(conn, up)
                back.join(timeout=LIFETIME)
            return
        host, path = req.target.split("//", 1)[1].split("/", 1)
        with socket.create_connection(("127.0.0.1", int(host.split(":")[1])),
                                      timeout=LIFETIME) as up:
            lines = [f"GET /{path} HTTP/1.1", f"Host: {host}"]
            lines += [f"{k}: {v}" for k, v in req.headers.items() if k in ("range", "if-range")]
            up.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            pump(up, conn)


def pump(a, b):
    try:
        while True:
            data = a.recv(65536)
            if not data:
                break
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def make_ca(folder, openssl="openssl"):
    """A CA of the test and a certificate of 127.0.0.1: ca.pem, server.pem, server.key; other.pem
    and other.key are for another name."""
    def run(*args):
        subprocess.run([openssl, *args], check=True, capture_output=True, cwd=folder)

    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ibbake test CA")
    for name, san in (("server", "IP:127.0.0.1"), ("other", "DNS:elsewhere.invalid")):
        with open(os.path.join(folder, name + ".ext"), "w", encoding="utf-8") as f:
            f.write(f"subjectAltName={san}\n")
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", name + ".key", "-out", name + ".csr", "-subj", f"/CN={name}")
        run("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-out", name + ".pem", "-extfile", name + ".ext")


def tls(folder, name="server"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, name + ".pem"),
                            os.path.join(folder, name + ".key"))
    return context
