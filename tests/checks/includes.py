#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who includes whom: every #include of src/ and include/ against the layers.

BELOW is the table that src/README.md documents. Third-party headers are bound to named files.

includes.py SOURCE_DIR
"""
import fnmatch
import pathlib
import re
import sys

# From the bottom up: whose headers a layer's files may include; base is open to all. What those
# headers include in turn may stand in USES, too, or they would not compile.
BELOW = {
    "base": [],
    "disk": [],
    "hive": [],
    "inf": [],
    "authenticode": [],
    "catalog": [],
    "unpack": [],
    "net": [],
    "bundle": [],
    "volume": ["disk"],
    "driver": ["inf", "authenticode", "catalog", "hive"],
    "inspect": ["volume", "disk", "hive", "driver", "inf", "authenticode", "catalog"],
    "plan": ["inspect", "driver", "inf", "authenticode", "catalog", "hive"],
    "apply": ["plan", "inspect", "driver", "volume", "disk", "hive"],
    "manifest": ["apply", "plan", "inspect", "driver", "volume", "disk", "hive", "catalog"],
    "api": ["manifest", "apply", "plan", "inspect", "driver", "volume", "disk", "hive", "inf",
            "authenticode", "catalog", "unpack", "net", "bundle"],
    "cli": ["api"],
}
# Bytes or structs in, structs out: these take no file and no volume.
PURE = ["inf", "authenticode", "catalog", "driver", "plan"]
THIRD_PARTY = {
    "ntfs-3g/*": ["volume/ntfs*.c", "volume/ntfs*.h"],
    "openssl/*": ["authenticode/*.c", "authenticode/*_internal.h", "base/hash.c", "base/sign.c"],
    "curl/*": ["net/*.c"],
    "zlib.h": ["unpack/*.c"],
    "cjson/*": ["base/json.c"],
    "archive*.h": ["base/archive*.c"],
    "libvhdi*.h": ["disk/second_opinion.c"],
    "wimlib.h": ["volume/wim*.c", "volume/wim_internal.h", "volume/wof.c"],
}
STANDARD = re.compile(r"^((sys|linux|arpa|netinet)/)?\w+\.h$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
SPDX = "SPDX-License-Identifier: GPL-3.0-or-later"


def uses_of(src, layer):
    text = re.sub(r"#.*", "", (src / layer / "layer.cmake").read_text())
    call = re.search(r"ibb_layer\s*\(([^)]*)\)", text)
    if not call:
        return None
    words, uses, on = call.group(1).split(), [], False
    for word in words[1:]:
        if word in ("SOURCES", "USES", "LIBS"):
            on = word == "USES"
        elif on:
            uses.append(word)
    return uses


def reachable(layer):
    seen, todo = set(), [layer]
    while todo:
        for other in BELOW[todo.pop()]:
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def check_include(path, layer, kind, target, known):
    """One #include of src/<path>; a fault or None."""
    for pattern, files in THIRD_PARTY.items():
        if fnmatch.fnmatch(target, pattern):
            if any(fnmatch.fnmatch(path, f) for f in files):
                return None
            return f"<{target}> belongs to {', '.join(files)}"
    first = target.split("/")[0]
    if first == "ibbake":
        return None
    if first in known:
        if first == layer or first == "base" or first in BELOW[layer]:
            return None
        return f'"{target}": layer {layer} may not use layer {first}'
    if kind == '"':
        return f'"{target}": name it with its layer'
    if STANDARD.match(target):
        return None
    return f"<{target}>: neither a system header nor a known library's"


def check_file(src, path, known):
    rel = path.relative_to(src).as_posix()
    layer = rel.split("/")[0]
    text = path.read_text(encoding="utf-8")
    faults = []
    if SPDX not in text.split("\n", 1)[0]:
        faults.append(f"{rel}:1: lacks /* {SPDX} */")
    if layer not in BELOW:
        return faults + [f"{rel}: unknown layer {layer}: add it to the table and to src/README.md"]
    for found in INCLUDE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        fault = check_include(rel, layer, found.group(1), found.group(2), known)
        if fault:
            faults.append(f"{rel}:{line}: {fault}")
    return faults


def check_table():
    order, faults = list(BELOW), []
    for layer, below in BELOW.items():
        for other in below:
            if order.index(other) >= order.index(layer):
                faults.append(f"table: {layer} may not use {other}: not below it")
        if layer in PURE:
            faults += [f"table: {layer} is pure and may not use {o}"
                       for o in below if o in ("volume", "disk", "apply")]
    return faults


def check_readme(src):
    """The tables of src/README.md say the same."""
    rows = {}
    for line in (src / "README.md").read_text(encoding="utf-8").split("\n"):
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        name = re.fullmatch(r"`([\w.*/-]+)`", cells[0])
        if line.startswith("|") and name:
            rows[name.group(1)] = re.findall(r"`([^`]+)`", cells[-1])
    return [f"src/README.md: {name}: {rows.get(name)} there, {want} in {pathlib.Path(__file__).name}"
            for name, want in {**BELOW, **THIRD_PARTY}.items() if rows.get(name) != want]


def main():
    top = pathlib.Path(sys.argv[1])
    src = top / "src"
    known = set(BELOW)
    faults, n = check_table() + check_readme(src), 0
    for path in sorted(src.rglob("*.[ch]")):
        faults += check_file(src, path, known)
        n += 1
    for layer in BELOW:
        if (src / layer / "layer.cmake").exists():
            for other in uses_of(src, layer) or []:
                if other != "base" and other not in reachable(layer):
                    faults.append(f"{layer}/layer.cmake: USES {other}: not below {layer}")
    for path in sorted((top / "include").rglob("*.h")):
        text = path.read_text(encoding="utf-8")
        if SPDX not in text.split("\n", 1)[0]:
            faults.append(f"{path.relative_to(top)}:1: lacks /* {SPDX} */")
        for _, target in INCLUDE.findall(text):
            if not (target.startswith("ibbake/") or STANDARD.match(target)):
                faults.append(f"{path.relative_to(top)}: public header includes {target}")
    print("\n".join(faults) or f"{n} files keep the layers")
    return 1 if faults or not n else 0


sys.exit(main())
