#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Catalogs and PE digests of the real packages, as src/authenticode and as an independent reader
see them (catdump.py, which lies beside the real material).

cat.py CATDUMP_OURS DATA
"""
import calendar
import hashlib
import os
import pathlib
import subprocess
import sys
import time

VERSIONS = {"1.3.6.1.4.1.311.12.1.2": "1", "1.3.6.1.4.1.311.12.1.3": "2"}
SUBJECTS = {"1.3.6.1.4.1.311.2.1.15": "pe", "1.3.6.1.4.1.311.2.1.25": "flat", None: "-"}


def want_catalog(oracle, path):
    c = oracle.parse_cat(path.read_bytes())
    assert c["usage"] == "1.3.6.1.4.1.311.12.1.1", path
    date = calendar.timegm(time.strptime(c["date"], "%y%m%d%H%M%SZ"))
    members = sorted(
        (len(m["tag"]), m["tag"].lower(), SUBJECTS[m.get("dtype")], m["attrs"].get("File", "-"),
         m["attrs"].get("OSAttr", "-")) for m in c["members"])
    for m in c["members"]:
        assert m.get("digest", m["tag"].lower()) == m["tag"].lower(), path
    return ([["catalog", str(path), VERSIONS[c["alg"]], str(date)]]
            + [["member", *m[1:]] for m in members]
            + [["attr", name, value] for name, value in c["attrs"].items()])


def want_file(oracle, path):
    data = path.read_bytes()
    digests = [oracle.authenticode(data, h) for h in ("sha1", "sha256")]
    kind = "pe" if digests[0] else "flat"
    if kind == "flat":
        digests = [hashlib.new(h, data).hexdigest() for h in ("sha1", "sha256")]
    return [["file", str(path), kind, *digests]]


def signed_holds(rows):
    """What embedded signatures say is what the digest of the file is; how many there are."""
    n = 0
    for before, row in zip(rows, rows[1:]):
        if row[0] == "signed":
            assert row[2] == before[{"sha1": 3, "sha256": 4}[row[1]]], before
            n += 1
    return n


def main():
    ours, data = sys.argv[1], pathlib.Path(os.environ.get("IBB_TEST_DATA") or sys.argv[2]).resolve()
    if not (data / "drivers").is_dir() or not (data / "../oracles/catdump.py").is_file():
        print(f"SKIPPED: no {data}/drivers, or no catdump.py beside it")
        sys.exit(1 if os.environ.get("IBB_REQUIRE_DATA") == "1" else 77)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(data / "../oracles"))
    import catdump as oracle
    files = sorted(p for p in (data / "drivers").glob("*/*") if p.is_file())
    want = []
    for path in files:
        want += want_catalog(oracle, path) if path.suffix == ".cat" else want_file(oracle, path)
    out = subprocess.run([ours, *map(str, files)], check=True, capture_output=True)
    got = [line.split("\t") for line in out.stdout.decode("utf-8").split("\n")[:-1]]
    n_signed = signed_holds(got)
    got = [row for row in got if row[0] != "signed"]
    for w, g in zip(want, got):
        if w != g:
            print(f"ours:   {g}\noracle: {w}")
            return 1
    if len(want) != len(got):
        print(f"{len(got)} lines, the oracle has {len(want)}")
        return 1
    kinds = [row[0] for row in got]
    n_pe = sum(row[0] == "file" and row[2] == "pe" for row in got)
    print(f"{kinds.count('catalog')} catalogs, {kinds.count('member')} members, "
          f"{kinds.count('attr')} attributes, {kinds.count('file')} files, {n_pe} of them PE images, "
          f"{n_signed} signed: the same")
    return 0


if __name__ == "__main__":
    sys.exit(main())
