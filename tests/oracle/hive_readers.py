#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a registry hive, as programs see it that have nothing to do with ibbake: hivex and
libregf through their Python bindings, and reglookup. Each one's own way of saying things is undone
here, so that what is left are true differences.

hive_readers.py READER HIVE     one reader's dump, sorted (hivex, libregf, reglookup)
hive_readers.py compare DUMP HIVE
                                hold a dump of ibb-hive (tests/support/hivedump.h has the form)
                                against all three

A dump has a line for each key (K), value (V) and class name (C), with tabs between:

  K path FILETIME security        "-" where the reader does not tell
  V path name type size data
  C path class                    (not in dumps of ibb-hive)

reglookup interprets data and cuts it, and tells times to the second: a dump is turned into what it
ought to print, instead of the other way about.
"""
import datetime
import functools
import os
import re
import subprocess
import sys

ROOT = "\\"
BIG = 16344       # bytes; more than that lies in segments of so many
EPOCH = datetime.datetime(1601, 1, 1)


class Unreadable(Exception):
    """The reader cannot read the hive."""


# ---- the form of a dump ----

def escape(name):
    """A name as a dump has it. U+0000 is shown as U+2400, as src/hive does."""
    if name.isprintable() and "%" not in name and "\\" not in name:
        return name
    name = name.replace("\0", "\u2400")
    return "".join(f"%{ord(c):02X}" if c in "%\\\x7f" or c < " " else c for c in name)


def unescape(name):
    return re.sub("%([0-9A-F]{2})", lambda m: chr(int(m[1], 16)), name)


def key_line(path, time):
    return f"K\t{path or ROOT}\t{time}\t-"


def value_line(path, name, vtype, data):
    return f"V\t{path or ROOT}\t{escape(name)}\t{vtype & 0xFFFFFFFF:08x}\t{len(data)}\t{data.hex()}"


def class_line(path, name):
    return f"C\t{path or ROOT}\t{escape(name)}"


# ---- hivex ----

def read_hivex(hive):
    """No class names; big data whole. Names are UTF-8."""
    import hivex
    lines = []

    def walk(key, path):
        lines.append(key_line(path, h.node_timestamp(key)))
        for value in h.node_values(key):
            vtype, data = h.value_value(value)
            lines.append(value_line(path, h.value_key(value), vtype, data))
        for sub in h.node_children(key):
            walk(sub, f"{path}\\{escape(h.node_name(sub))}")
    try:
        h = hivex.Hivex(hive)
        walk(h.root(), "")
    except RuntimeError as e:
        raise Unreadable(str(e)) from e
    return lines


# ---- libregf ----

def libregf_data(vtype, data):
    """What is left of data in libregf (20201007). Of up to three bytes, which lie in the value's
    own record, it takes the wrong end of the four that there are. Strings it cuts at the first NUL
    and gives a terminator, at times: so here they end before it."""
    if vtype in (1, 2):
        if len(data) < 3:
            return b""
        data += bytes(len(data) % 2)
        at = 0
        while (at := data.find(b"\0\0", at)) % 2:
            if at < 0:
                return data
            at += 1
        return data[:at]
    return (data + bytes(4 - len(data)))[-len(data):] if 0 < len(data) < 4 else data


def libregf_value(path, name, vtype, data):
    size = len(data) if vtype not in (1, 2) else "-"
    return f"V\t{path}\t{name}\t{vtype:08x}\t{size}\t{libregf_data(vtype, data).hex()}"


@functools.lru_cache(200_000)
def libregf_line(line):
    """A line of a dump as read_libregf() has it."""
    if line[0] == "K":
        return line[:line.rindex("\t")] + "\t-"
    _, path, name, vtype, size, data = line.split("\t")
    if int(size) > 3 and vtype[:7] != "0000000":
        return line
    return libregf_value(path, name, int(vtype, 16), bytes.fromhex(data))


def libregf_slack(missing, extra):
    """A string that lacks its NUL goes on, in libregf, with what lies behind it in the cell."""
    longer = {line[:line.rindex("\t")]: line for line in extra}
    gone = [(line, longer[line[:line.rindex("\t")]]) for line in missing
            if line[:line.rindex("\t")] in longer]
    gone = [(ours, theirs) for ours, theirs in gone if theirs.startswith(ours) and
            ours.split("\t")[4] == "-"]
    return ([x for x in missing if x not in {a for a, _ in gone}],
            [x for x in extra if x not in {b for _, b in gone}])


def read_libregf(hive):
    """Says None for the name of the default value and for no data."""
    import pyregf
    lines = []

    def walk(key, path):
        lines.append(key_line(path, key.get_last_written_time_as_integer()))
        name = key.get_class_name()
        if name:
            lines.append(class_line(path, name))
        for i in range(key.get_number_of_values()):
            value = key.get_value(i)
            data, vtype = value.get_data() or b"", value.get_type()
            line = value_line(path, value.get_name() or "", vtype, data)
            # What it did to a few bytes it must not be done to twice.
            lines.append(libregf_line(line) if vtype in (1, 2) else line)
        for i in range(key.get_number_of_sub_keys()):
            sub = key.get_sub_key(i)
            walk(sub, f"{path}\\{escape(sub.get_name() or '')}")
    f = pyregf.file()
    try:
        f.open(hive)
        walk(f.get_root_key(), "")
        f.close()
    except OSError as e:
        raise Unreadable(str(e).split(". libregf", 1)[0]) from e
    return lines


# ---- reglookup ----

TYPES = {0: "NONE", 1: "SZ", 2: "EXPAND_SZ", 3: "BINARY", 4: "DWORD", 5: "DWORD_BE", 6: "LINK",
         7: "MULTI_SZ", 8: "RSRC_LIST", 9: "RSRC_DESC", 10: "RSRC_REQ_LIST", 11: "QWORD"}
RAW_TYPES = (0, 3, 8, 9, 10)


@functools.lru_cache(None)
def quote_table(special):
    return [chr(i) if 0x20 <= i < 0x7F and chr(i) not in '%",' + special else f"%{i:02X}"
            for i in range(256)]


def quote(data, special=""):
    return "".join(map(quote_table(special).__getitem__, data))


@functools.lru_cache(100_000)
def reglookup_name(name):
    """It converts to ASCII. A name for which that fails is printed in the bytes of the hive."""
    name = name.replace("\u2400", "\0")
    for codec in ("ascii", "latin-1", "utf-16-le"):
        try:
            return quote(name.encode(codec, "strict" if codec[0] != "u" else "surrogatepass"), "/")
        except UnicodeEncodeError:
            pass
    raise AssertionError


def reglookup_data(vtype, data):
    """Data as it prints them; what it cannot interpret it prints raw, with one more quoted."""
    if not data:
        return "(null)"
    if vtype in RAW_TYPES:
        return quote(data)
    if vtype in (1, 2, 6, 7) and len(data) % 2 == 0 and not any(data[1::2]) and \
            max(data[::2]) < 0x80:
        text = data[::2]
        if vtype != 7:
            return quote(text.split(b"\0", 1)[0])
        # Empty strings in the middle are lost, one at the beginning is kept.
        parts = re.split(b"\0+", text)
        return "|".join(quote(p, "|") for p in (parts if parts[-1] else parts[:-1]))
    if vtype == 4 and len(data) >= 4:
        return f"0x{int.from_bytes(data[:4], 'little'):08X}"
    if vtype == 5 and len(data) >= 4:
        return f"0x{int.from_bytes(data[:4], 'big'):08X}"
    if vtype == 11 and len(data) >= 8:
        return f"0x{int.from_bytes(data[:8], 'little'):016X}"
    return quote(data, "|")


def reglookup_time(time):
    return (EPOCH + datetime.timedelta(seconds=time // 10_000_000)).strftime("%Y-%m-%d %H:%M:%S")


@functools.lru_cache(200_000)
def reglookup_path(path):
    if path in ("", ROOT):
        return ""
    up, name = path.rsplit("\\", 1)
    return f"{reglookup_path(up)}/{reglookup_name(unescape(name))}"


@functools.lru_cache(400_000)
def reglookup_line(line):
    """What it prints for a line of a dump, without the descriptor and the class."""
    kind, path, *rest = line.split("\t")
    if kind == "K":
        return f"{reglookup_path(path) or '/'},KEY,,{reglookup_time(int(rest[0]))}"
    name, vtype, _, data = rest
    vtype = int(vtype, 16)
    where = f"{reglookup_path(path)}/{reglookup_name(unescape(name))}"
    if not reglookup_path(path):
        where = "/" + where      # of the root's values it says //
    return f"{where},{TYPES.get(vtype, f'0x{vtype:08X}')}," \
        f"{reglookup_data(vtype, bytes.fromhex(data))},"


def reglookup_order(dump, missing, extra):
    """Segments of big data it puts in the order in which they lie in the file, whatever their list
    says: of big data that came out otherwise only name and type are compared."""
    def head(line):
        return line[:line.index(",", line.index(",") + 1)]

    big = {head(reglookup_line(x)) for x in dump
           if x[0] == "V" and int(x.rsplit("\t", 2)[1]) > BIG} if missing else set()
    return ([x for x in missing if head(x) not in big or head(x) not in {head(y) for y in extra}],
            [y for y in extra if head(y) not in big])


def read_reglookup(hive):
    """(lines as it prints them without descriptor and class, {path: (descriptor, class)})."""
    out = subprocess.run(["reglookup", "-H", "-s", hive], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                         env={**os.environ, "LC_ALL": "C"})
    if out.returncode:
        raise Unreadable(out.stderr.decode("latin-1").strip().split("\n")[-1])
    lines, extra = [], {}
    for line in out.stdout.decode("ascii").split("\n")[:-1]:
        path, vtype, value, time, *rest = line.split(",")
        lines.append(f"{path},{vtype},{value},{time}")
        if vtype == "KEY":
            extra[path] = (",".join(rest[:-1]), rest[-1])
    return lines, extra


# ---- comparing ----

def load_dump(path):
    with open(path, encoding="utf-8", errors="surrogatepass", newline="\n") as f:
        return f.read().split("\n")[:-1]


def without_sd(lines):
    return [line[:line.rindex("\t")] + "\t-" if line[0] == "K" else line for line in lines]


def differences(want, got):
    """(only wanted, only got): of lists that may hold a line more than once."""
    if sorted(want) == sorted(got):
        return [], []
    want, got = sorted(want), sorted(got)
    only_want, only_got, i, j = [], [], 0, 0
    while i < len(want) or j < len(got):
        if j == len(got) or (i < len(want) and want[i] < got[j]):
            only_want.append(want[i])
            i += 1
        elif i == len(want) or got[j] < want[i]:
            only_got.append(got[j])
            j += 1
        else:
            i, j = i + 1, j + 1
    return only_want, only_got


class Reading:
    """What one reader says of a hive, held against a dump of ibb-hive."""

    def __init__(self, reader, dump, hive):
        self.reader, self.classes, self.descriptors, self.error = reader, {}, {}, ""
        self.missing, self.extra = [], []
        try:
            if reader == "reglookup":
                self.reglookup(dump, hive)
            else:
                self.binding(dump, {"hivex": read_hivex, "libregf": read_libregf}[reader](hive))
        except Unreadable as e:
            self.error = str(e)

    def binding(self, dump, lines):
        for line in lines:
            if line[0] == "C":
                _, path, name = line.split("\t")
                self.classes[path] = name
        want = [libregf_line(x) for x in dump] if self.reader == "libregf" else without_sd(dump)
        self.missing, self.extra = differences(want, [x for x in lines if x[0] != "C"])
        if self.reader == "libregf":
            self.missing, self.extra = libregf_slack(self.missing, self.extra)

    def reglookup(self, dump, hive):
        lines, extra = read_reglookup(hive)
        self.missing, self.extra = reglookup_order(
            dump, *differences([reglookup_line(x) for x in dump], lines))
        for line in dump:
            if line[0] == "K":
                _, path, _, sd = line.split("\t")
                text, name = extra.get(reglookup_path(path) or "/", ("", ""))
                self.descriptors.setdefault(sd, set()).add(text)
                if name:
                    self.classes[path] = name

    @property
    def agrees(self):
        return not (self.error or self.missing or self.extra)

    def __str__(self):
        if self.error:
            return f"{self.reader}: {self.error}"
        return "\n".join(f"{self.reader}: {sign} {line[:300]}"
                         for sign, lines in (("-", self.missing), ("+", self.extra))
                         for line in lines[:8])


READERS = ("hivex", "libregf", "reglookup")


def missing(reader):
    """The Debian package that it takes and that is not installed, or an empty string."""
    module = {"hivex": "hivex", "libregf": "pyregf"}.get(reader)
    try:
        if module:
            __import__(module)
        else:
            subprocess.run([reader], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except (ImportError, OSError):
        return f"python3-{reader}" if module else reader
    return ""


def main():
    sys.setrecursionlimit(10_000)
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogatepass")
    if len(sys.argv) == 3 and sys.argv[1] in READERS:
        read = {"hivex": read_hivex, "libregf": read_libregf,
                "reglookup": lambda hive: read_reglookup(hive)[0]}[sys.argv[1]]
        print("\n".join(sorted(read(sys.argv[2]))))
        return 0
    if len(sys.argv) == 4 and sys.argv[1] == "compare":
        readings = [Reading(r, load_dump(sys.argv[2]), sys.argv[3]) for r in READERS]
        for reading in readings:
            print(f"{reading.reader}: agrees" if reading.agrees else reading)
        return 0 if all(r.agrees for r in readings) else 1
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main())
