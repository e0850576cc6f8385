# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: help that fits a screen, options that belong to what was asked for."""
import re

from world import check, same

VERBS = {"drivers": ("list", "add", "remove", "check", "unpack"),
         "catalog": ("show", "check", "import"), "bundle": ("create", "check", "unpack"),
         "cache": ("list", "verify", "prune", "add")}
COMMANDS = ("sizes", "resolve", "inspect", "plan", "bake", "convert", "verify", "drivers", "catalog",
            "bundle", "recover", "fetch", "cache")
# taken and ignored before: a user would have counted on it
IGNORED = (("catalog", "check", "--remove"), ("catalog", "check", "--older-than", "1d"),
           ("catalog", "check", "--release", "x"), ("catalog", "show", "--packages", "x"),
           ("catalog", "import", "x", "--release", "y"),
           ("catalog", "import", "x", "--trust-anchor", "y"), ("cache", "list", "--packages", "x"),
           ("cache", "prune", "--packages", "x"), ("cache", "list", "--lock", "x"),
           ("cache", "verify", "--older-than", "1d"), ("cache", "prune", "--remove"),
           ("bundle", "create", "--force"), ("bundle", "check", "x", "--size", "y"),
           ("bundle", "check", "x", "--cache-dir", "y"), ("bundle", "unpack", "x", "--bundle", "y"),
           ("drivers", "list", "x", "--bundle", "y"), ("drivers", "remove", "x", "y", "--lock", "z"),
           ("drivers", "unpack", "x", "-o", "y", "--in-place"),
           ("drivers", "check", "x", "--azure"), ("resolve", "--force"),
           ("--azure", "check", "x"))


def e2e_cli_help(world):
    """No line is longer than 80 columns; a verb's help has its own options."""
    asked = [[]] + [[c] for c in COMMANDS] + [[c, v] for c, verbs in VERBS.items() for v in verbs]
    for argv in asked:
        text = world.ibbake(*argv, "--help").out
        long = [line for line in text.split("\n") if len(line) > 80]
        same(long, [], f"long lines of {argv}")
    main = world.ibbake("--help").out
    for c in COMMANDS + ("version",):
        line = re.search(rf"^  {c} .*$", main, re.M).group()
        check(line[39:41] == "  " and line[41] != " ", f"the table is not even: {line!r}")
    options = {v: set(re.findall(r"--[a-z-]+", world.ibbake("cache", v, "--help").out.split("\n\n")[-1]))
               for v in VERBS["cache"]}
    common = {"--cache-dir", "--progress", "--json", "--quiet", "--verbose", "--help"}
    same(options["list"], common, "cache list")
    same(options["prune"], common | {"--older-than"}, "cache prune")
    check({"--release", "--lock"} <= options["add"] and "--remove" not in options["add"], "cache add")


def e2e_cli_verbs(world):
    """An option that would be ignored is a usage error, wherever it stands."""
    for argv in IGNORED:
        if argv[0].startswith("--"):
            argv = ("drivers",) + argv
        world.refused(list(argv), 2, "takes no option --")
    world.refused(["bake", "x", "--bundle", "y", "--cache-dir", "z", "-o", "o"], 2, "no --cache-dir")
    for argv in (["catalog", "import", "x"], ["bundle", "create"], ["drivers", "unpack", "x"]):
        world.refused([*argv, "-o", "-"], 2, "-o - is no name")
    world.refused(["drivers", "unpack", "x"], 2, "needs --output DIR")
