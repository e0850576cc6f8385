#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must not stand in the repository: unfinished work, paths of somebody's machine, third-party
bulk, and whitespace damage. Looks at the files that git knows or would add.

hygiene.py SOURCE_DIR
"""
import pathlib
import re
import shutil
import subprocess
import sys

MAX_BYTES = 400_000
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
# Home directories and scratch places; /tmp itself is a fair default.
MACHINE_PATH = re.compile(r"(?<![\w./$}])/(home|Users|root|wo" r"rk|fa" r"rm|mnt|media)/\w")
ALLOWED_TOP = {"CMakeLists.txt", "src", "include", "catalogs", "tests", "ci", "README.md",
               "LICENSE"}
SPDX_SUFFIXES = {".c", ".h", ".py", ".sh", ".cmake"}


def files(top):
    if not shutil.which("git") or not (top / ".git").exists():
        print("SKIPPED: no git checkout, or no git")
        sys.exit(77)
    out = subprocess.run(
        ["git", "-c", f"safe.directory={top}", "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"], cwd=top, check=True, capture_output=True).stdout
    return sorted({n for n in out.decode().split("\0") if n and (top / n).is_file()})


def text_faults(name, text):
    suffix = pathlib.PurePath(name).suffix
    if suffix in SPDX_SUFFIXES or name.endswith("CMakeLists.txt"):
        if "SPDX-License-Identifier: GPL-3.0-or-later" not in text[:300]:
            yield f"{name}:1: lacks the SPDX line"
    if text and not text.endswith("\n"):
        yield f"{name}: lacks the newline at its end"
    for no, line in enumerate(text.split("\n"), 1):
        if UNFINISHED.search(line):
            yield f"{name}:{no}: unfinished: {line.strip()[:60]}"
        if MACHINE_PATH.search(line):
            yield f"{name}:{no}: a path of somebody's machine: {line.strip()[:60]}"
        if line.endswith("\r"):
            yield f"{name}:{no}: ends in a carriage return"
            break
        if line != line.rstrip() and suffix != ".md":
            yield f"{name}:{no}: blanks at the end of the line"
        if re.match(r" +\t", line):
            yield f"{name}:{no}: blanks before a tab"
        if suffix in (".c", ".h") and re.match(r" {8}", line):
            yield f"{name}:{no}: indented with blanks, not tabs"
        if suffix == ".py" and re.match(r" *\t", line):
            yield f"{name}:{no}: indented with tabs, not blanks"


def main():
    top = pathlib.Path(sys.argv[1])
    faults, n = [], 0
    for name in files(top):
        first = name.split("/")[0]
        if first not in ALLOWED_TOP and not first.startswith("."):
            faults.append(f"{name}: {first} does not belong at the top level")
        size = (top / name).stat().st_size
        if size > MAX_BYTES:
            faults.append(f"{name}: {size} bytes, more than {MAX_BYTES}")
        n += 1
        if name == "LICENSE" or (name.startswith("tests/") and "/corpus/" in name):
            continue
        data = (top / name).read_bytes()
        if b"\0" in data:
            continue
        try:
            faults += text_faults(name, data.decode("utf-8"))
        except UnicodeDecodeError:
            faults.append(f"{name}: text, but not UTF-8")
    print("\n".join(faults) or f"{n} files are clean")
    return 1 if faults or not n else 0


sys.exit(main())
