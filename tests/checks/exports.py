#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared library exports the declared functions, all of them, and nothing else.

exports.py LIBRARY INCLUDE_DIR GOLDEN    (IBB_GOLDEN_UPDATE=1 rewrites the golden list)
"""
import os
import pathlib
import re
import subprocess
import sys

DECLARATION = re.compile(r"\bIBB_API\b[^;{]*?\b(\w+)\s*\(")


def declared(include_dir):
    names = set()
    for header in sorted(pathlib.Path(include_dir).glob("ibbake/*.h")):
        text = re.sub(r"/\*.*?\*/", " ", header.read_text(), flags=re.S)
        text = re.sub(r"^\s*#.*?(?<!\\)$", " ", text, flags=re.M)
        names.update(DECLARATION.findall(text))
    return names


def exported(library):
    out = subprocess.run(["nm", "-D", "--defined-only", "--format=posix", library], check=True,
                         capture_output=True, text=True).stdout
    # "name@@VERSION T address size"; A is the version node itself
    return {line.split()[0].split("@")[0] for line in out.splitlines() if line.split()[1] != "A"}


def main():
    library, include_dir, golden = sys.argv[1:4]
    want, have = declared(include_dir), exported(library)
    faults = [f"exported but not declared with IBB_API in a public header: {n}"
              for n in sorted(have - want)]
    faults += [f"declared with IBB_API but not exported: {n}" for n in sorted(want - have)]
    faults += [f"exported without the prefix ibb_: {n}"
               for n in sorted(have) if not n.startswith("ibb_")]
    text = "".join(n + "\n" for n in sorted(have))
    if os.environ.get("IBB_GOLDEN_UPDATE") == "1":
        pathlib.Path(golden).write_text(text)
    stored = set(pathlib.Path(golden).read_text().split())
    faults += [f"new, not in {golden}: {n} (IBB_GOLDEN_UPDATE=1 accepts it)"
               for n in sorted(have - stored)]
    faults += [f"in {golden}, but gone: {n} (breaks programs that use it)"
               for n in sorted(stored - have)]
    print("\n".join(faults) or f"{len(have)} exported functions, all declared")
    return 1 if faults or not have else 0


sys.exit(main())
