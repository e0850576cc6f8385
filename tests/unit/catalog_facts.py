#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped catalog says what the collected facts say, size by size and release by release.

The facts (azure-sizes.json, azure-drivers.json) lie in ../spec beside the test data. Where the
catalog departs from them on purpose, the difference is listed here, with its reason.
"""
import json
import os
import re
import sys


# Only third parties list these two names: what is sure of the series is not of them.
ISRF = ("Standard_ND96isrf_H100_v5", "Standard_ND96isrf_H200_v5")
SOURCES = {"rj": "hc44-scripts"}  # the same, under another id


class Faults:
    def __init__(self):
        self.n = 0

    def want(self, what, got, expected):
        if got != expected:
            print(f"{what}: the catalog says {got!r}, the facts {expected!r}")
            self.n += 1


def check_sizes(f, catalog, facts):
    series = {s["id"]: s for s in catalog["series"]}
    functions = {x["id"]: x for x in catalog["functions"]}
    have = {z["name"]: {**series[z["series"]], **z} for z in catalog["sizes"]}
    f.want("names of sizes", sorted(have), sorted(z["arm_name"] for z in facts["sizes"]))
    for z in facts["sizes"]:
        name = z["arm_name"]
        got = have.get(name)
        if not got:
            continue
        if name in ISRF:
            z = {**z, "confidence": "B", "sources": ["skulist"]}
        for ours, theirs in (("series", "series"), ("arch", "arch"), ("nic", "nic"), ("rate", "ib_rate"),
                             ("gbps_per_port", "ib_gbps_per_port"), ("ports", "ib_ports"),
                             ("sriov", "sriov"), ("driver_set", "driver_kind"), ("status", "status"),
                             ("retire_date", "retire_date"), ("confidence", "confidence")):
            f.want(f"{name}: {ours}", got.get(ours), z.get(theirs))
        f.want(f"{name}: generations", [f"V{g}" for g in got["generations"]],
               z["hyperv_generations"] or [])
        f.want(f"{name}: constrained_of", got.get("constrained_of"), z.get("constrained_of"))
        f.want(f"{name}: sources", {SOURCES.get(s, s) for s in z["sources"]} - set(got["sources"]), set())
        if z["vf_pci"] and got["function"]:
            vendor, device = z["vf_pci"].split(":")
            ids = functions[got["function"]]["hardware_ids"]
            f.want(f"{name}: function", f"VEN_{vendor}&DEV_{device}" in ids[0] and
                   ids[0].endswith("REV_" + z["vf_pci_rev"]), True)
            f.want(f"{name}: confidence of the function", got["function_confidence"],
                   z["vf_pci_confidence"])
        elif z["vf_pci"]:
            # no Windows runs on it: the catalog names no function
            f.want(f"{name}: without a function", got["arch"], "arm64")



def check_release(f, got, r):
    version = r["version"]
    f.want(f"{version}: package", got["package"], r["package"])
    f.want(f"{version}: driver version", got["driver_version"], r["driver_ver"])
    f.want(f"{version}: long-term", got["lts"], r["lts"])
    f.want(f"{version}: sha256", got["sha256"], r["sha256"])
    f.want(f"{version}: size", got.get("size_mb"), r.get("size_mb"))
    f.want(f"{version}: confidence", got["confidence"], r["confidence"])
    date = re.search(r"\d{4}(-\d\d(-\d\d)?)?", r["release_date"] or "")
    f.want(f"{version}: date", got["date"], date and date.group())
    basis = r["package_name_basis"]
    f.want(f"{version}: name", got["package_name"],
           basis and ("seen" if basis.startswith("seen") else "pattern"))
    f.want(f"{version}: seen", [u["url"] for u in got["urls"] if u["basis"] == "seen"],
           [r["url"]] if "url" in r else [])
    f.want(f"{version}: servers", sorted(w[6:] for w in got["windows"] or [] if w[:6] == "server"),
           sorted(w.lower() for w in r["windows"]["server"] or []))


def check_urls(f, releases, patterns):
    """No address that was neither seen nor follows a known pattern."""
    bases = sorted({re.sub(r"^http(\(s\)|s)?://", "", p).split("MLNX")[0] for p in patterns
                    if "download.microsoft" not in p})
    for r in releases:
        for u in r["urls"]:
            if u["basis"] == "pattern":
                f.want(u["url"], u["confidence"], "C")
                f.want(u["url"], u["url"].split("://")[1] in [b + r["package"] for b in bases], True)
            f.want(u["url"], u["url"].endswith("/" + r["package"]), True)


def check_drivers(f, catalog, facts):
    winof2 = {r["version"]: r for r in catalog["releases"] if r["driver_set"] == "winof2"}
    f.want("WinOF-2 releases", sorted(winof2), sorted(r["version"] for r in facts["winof2"]))
    f.want("their number", len(winof2), 25)
    for r in facts["winof2"]:
        if r["version"] in winof2:
            check_release(f, winof2[r["version"]], r)
    winof = [r for r in catalog["releases"] if r["driver_set"] == "winof"]
    f.want("WinOF releases", sorted({r["version"] for r in winof}),
           sorted(r["version"] for r in facts["winof"]))
    packages = []
    for r in facts["winof"]:
        for p in r["packages"]:
            many = re.search(r"<(.*)>", p)
            packages += [p.replace(many.group(), x) for x in many.group(1).split("|")] if many else [p]
    f.want("WinOF packages", sorted(r["package"] for r in winof), sorted(packages))
    check_urls(f, catalog["releases"], facts["url_patterns"])
    pinned = [x for r in catalog["releases"] for x in r.get("files", [])]
    f.want("pinned files", [(x["name"], x["sha256"], x["size"]) for x in pinned],
           [(x["name"], x["sha256"], x["size"]) for x in facts["mlx5_driver_package"]["files"]
            if x["name"] != "Mlx5.man"])  # no member of mlx5.cat: nothing vouches for it


def check_extension(f, catalog, facts):
    entries = {(e["nic"], e["url"]): e for e in catalog["extension_entries"]}
    theirs = facts["extension"]["catalog_entries"]
    f.want("extension entries", sorted(entries), sorted((e["type"], e["url"]) for e in theirs))
    for e in theirs:
        got = entries[(e["type"], e["url"])]
        f.want(e["url"], got["package"], e["package"])
        f.want(e["url"], (got["first_commit"], got["first_date"]), (e["first_commit"], e["first_date"]))
        f.want(e["url"], got["last_commit"] is None, e["in_master_now"] is True)
        f.want(e["url"], got["version"], e["version"].split()[0])
        f.want(e["url"], set(got["distros"]), {d.split(" (")[0] for d in e["distro"]})
    table = {}
    for row in catalog["extension_support"]:
        table.setdefault(row["date"], []).append(",".join(row["nics"]))
    for date, rows in facts["extension"]["os_table"].items():
        # January 2022 is told in one row for all five
        expected = list(rows.values()) * (5 if len(rows) == 1 else 1)
        f.want(f"support table of {date}", sorted(table[date]), sorted(expected))


def main(folder):
    data = os.environ.get("IBB_TEST_DATA") or sys.argv[2]
    spec = os.path.join(data, "..", "spec")
    docs = []
    try:
        for path in (os.path.join(folder, "azure-rdma.json"), os.path.join(spec, "azure-sizes.json"),
                     os.path.join(spec, "azure-drivers.json")):
            with open(path, encoding="utf-8") as f:
                docs.append(json.load(f))
    except FileNotFoundError as e:
        if os.environ.get("IBB_REQUIRE_DATA") == "1":
            raise
        print(f"SKIPPED: {e.filename} is missing")
        return 77
    f = Faults()
    check_sizes(f, docs[0], docs[1])
    check_drivers(f, docs[0], docs[2])
    check_extension(f, docs[0], docs[2])
    print(f"{f.n} differences")
    return 1 if f.n else 0


sys.exit(main(sys.argv[1]))
