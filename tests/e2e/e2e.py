#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""End-to-end tests of the ibbake program.

e2e.py --list                                       the names of all cases
e2e.py NAME --ibbake P --mkimage P --extract P --mkpkg P --ntfscheck P --msi P
        --source DIR
                                                    run one; exit status 77: skipped
"""
import argparse
import inspect
import os
import sys
import time
import traceback

sys.dont_write_bytecode = True
import cases_azure  # noqa: E402
import cases_bake  # noqa: E402
import cases_bundle  # noqa: E402
import cases_catalog  # noqa: E402
import cases_cli  # noqa: E402
import cases_convert  # noqa: E402
import cases_container  # noqa: E402
import cases_drivers  # noqa: E402
import cases_fetch  # noqa: E402
import cases_hives  # noqa: E402
import cases_inplace  # noqa: E402
import cases_input  # noqa: E402
import cases_msi  # noqa: E402
import cases_output  # noqa: E402
import cases_state  # noqa: E402
import cases_trust  # noqa: E402
import cases_unpack  # noqa: E402
import cases_wim  # noqa: E402
import cases_wimwrite  # noqa: E402
import cases_winre  # noqa: E402
from world import Failure, Skip, World  # noqa: E402


def cases():
    found = {}
    for module in (cases_azure, cases_bake, cases_bundle, cases_catalog, cases_cli, cases_container,
                   cases_convert, cases_drivers, cases_fetch, cases_hives, cases_inplace, cases_input,
                   cases_output, cases_state, cases_msi, cases_trust, cases_unpack, cases_wim, cases_wimwrite,
                   cases_winre):
        for name, fn in inspect.getmembers(module, inspect.isfunction):
            if fn.__module__ == module.__name__ and name.startswith("e2e_"):
                found[name] = fn
    return found


def run(fn, args):
    world = None
    try:
        world = World(args)
        world.check_tools()
        began = time.monotonic()
        fn(world)
        for note in sorted(set(world.notes)):
            print(f"note: {note}")
        print(f"{fn.__name__}: passed in {time.monotonic() - began:.1f} s, "
              f"{world.volumes_checked} edited volumes checked")
        return 0
    except Skip as e:
        print(f"SKIPPED: {e}")
        return 77
    except Failure as e:
        frames = traceback.extract_tb(e.__traceback__)
        where = [f for f in frames if "/cases_" in f.filename]
        for f in where:
            print(f"{f.filename}:{f.lineno}: {f.line}")
        print(f"FAILED: {e}")
        return 1
    finally:
        if world:
            world.close()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("name", nargs="?")
    p.add_argument("--list", action="store_true")
    for tool in ("ibbake", "mkimage", "extract", "mkpkg", "ntfscheck", "msi", "source"):
        p.add_argument("--" + tool, type=os.path.abspath)
    args = p.parse_args()
    known = cases()
    if args.list:
        print("\n".join(sorted(known)))
        return 0
    if args.name not in known:
        print(f"no case {args.name!r}")
        return 2
    return run(known[args.name], args)


if __name__ == "__main__":
    sys.exit(main())
