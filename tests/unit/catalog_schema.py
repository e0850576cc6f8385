#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped catalog keeps its schema, and the schema refuses what the loader refuses."""

import copy
import json
import os
import sys

try:
    import jsonschema
except ImportError:
    print("SKIPPED: python3-jsonschema is missing")
    sys.exit(77)


def damaged(doc):
    """Catalogs with one fault each, and what the fault is."""
    def edit(what, change):
        d = copy.deepcopy(doc)
        change(d)
        return what, d

    yield edit("format 2", lambda d: d.update(format=2))
    yield edit("no sizes", lambda d: d.pop("sizes"))
    yield edit("unknown list", lambda d: d.update(remarks=[]))
    yield edit("size without series", lambda d: d["sizes"][0].pop("series"))
    yield edit("size without Standard_", lambda d: d["sizes"][0].update(name="A8"))
    yield edit("unknown member", lambda d: d["sizes"][0].update(nic="CX5"))
    yield edit("state", lambda d: d["rules"][0].update(state="maybe"))
    yield edit("two targets", lambda d: d["rules"][0].update(series=["HB"], nics=["CX5"]))
    yield edit("empty target", lambda d: d["rules"][0].update(series=[]))
    yield edit("empty range", lambda d: d["rules"][0].update(windows={}))
    yield edit("only and from", lambda d: d["rules"][0].update(
        windows={"only": "server2022", "from": "server2019"}))
    yield edit("to and before", lambda d: d["rules"][0].update(
        windows={"to": "server2022", "before": "server2019"}))
    yield edit("confidence", lambda d: d["facts"][0].update(confidence="D"))
    yield edit("date", lambda d: d["series"][0].update(retire_date="2021-13-01"))
    yield edit("digest", lambda d: d["releases"][0].update(sha256="00"))
    yield edit("URL", lambda d: d["releases"][0].update(url="ftp://x/y"))
    yield edit("url and urls", lambda d: d["releases"][0].update(url="https://x/y"))
    yield edit("basis of a URL", lambda d: d["releases"][0]["urls"][0].update(basis="guess"))
    yield edit("digest's basis alone", lambda d: d["releases"][0].update(sha256_basis="he says"))
    yield edit("digest without basis", lambda d: d["releases"][0].update(
        sha256="00112233445566778899aabbccddeeff" * 2))
    yield edit("size of a file", lambda d: next(
        r for r in d["releases"] if "files" in r)["files"][0].update(size=0))
    yield edit("role", lambda d: d["companions"][0].update(role="tool"))
    yield edit("entry without distro", lambda d: d["extension_entries"][0].update(distros=[]))
    yield edit("support of nothing", lambda d: d["extension_support"][0].update(windows=[]))
    yield edit("overlay false, no sizes", lambda d: (d.update(overlay=False), d.pop("sizes")))
    yield edit("line break", lambda d: d["rules"][0].update(reason="a\nb"))
    yield edit("empty text", lambda d: d["sources"][0].update(title=""))
    yield edit("generation 3", lambda d: d["series"][0].update(generations=[3]))
    yield edit("number as text", lambda d: d["windows"][0].update(build="9600"))


def main(folder):
    with open(os.path.join(folder, "azure-rdma.schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    with open(os.path.join(folder, "azure-rdma.json"), encoding="utf-8") as f:
        doc = json.load(f)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    bad = 0
    for e in validator.iter_errors(doc):
        print("azure-rdma.json: %s: %s" % ("/".join(map(str, e.absolute_path)), e.message[:200]))
        bad += 1
    for what, d in damaged(doc):
        if validator.is_valid(d):
            print("the schema lets through: %s" % what)
            bad += 1
    overlay = {"format": 1, "overlay": True, "as_of": "2026-11-20", "local": []}
    if not validator.is_valid(overlay) or validator.is_valid({**overlay, "overlay": False}):
        print("an overlay needs no list, anything else does")
        bad += 1
    return 1 if bad else 0


sys.exit(main(sys.argv[1]))
