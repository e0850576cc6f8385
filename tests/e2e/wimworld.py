# SPDX-License-Identifier: GPL-3.0-or-later
"""WIM files for the end-to-end cases: made of generated volumes by wimlib's own programs, and read
by them. Nothing of ibbake's is in between."""
import os
import re
import struct
import subprocess
import xml.etree.ElementTree as ET

from world import SIZE, Skip, check, find_tool, same

OTHER_SIZE = "Standard_HC44rs"
HEADER = struct.Struct("<8sIIII16sHHI24s24s24sI24s60s")
FIELDS = ("magic", "bytes", "version", "flags", "chunk", "guid", "part", "parts", "images", "blobs",
          "xml", "boot_metadata", "boot_index", "integrity", "unused")
FLAG_READONLY, FLAG_IN_PROGRESS = 0x04, 0x40
# What a WIM's XML says of an image that has to follow its content
COUNTED = {"DIRCOUNT", "FILECOUNT", "TOTALBYTES", "HARDLINKBYTES", "LASTMODIFICATIONTIME"}
# Where data lies in the file: not what it is
PLACE = re.compile(r"^(Compressed size|Offset in WIM|Part Number|Reference Count|Flags|"
                   r"Raw |Solid|Chunk)")
RULE = "-" * 76


def imagex(world, *args, rc=0):
    tool = find_tool("wimlib-imagex")
    if not tool:
        raise Skip("wimlib-imagex is not installed (package wimtools)")
    return world.run([tool, *args], rc=rc)


# ---- making ----

def volume(world, name, *options, size="64MiB"):
    """A bare NTFS volume with a Windows."""
    if world.run([find_tool("wimlib-imagex") or "false", "--version"], rc=None).rc:
        raise Skip("wimlib-imagex is not installed (package wimtools)")
    return world.image("--table", "none", "--size", size, *options, name=name)


def capture(world, image, wim, name, *options, text=None, properties=()):
    """The volume as a further image of the WIM, which is made when it is not there."""
    how = "append" if os.path.exists(wim) else "capture"
    imagex(world, how, image.path, wim, name, *([text] if text else []), *options,
           *(f"--image-property={p}" for p in properties))


class Recipe:
    """What an image of a WIM is made of."""

    def __init__(self, name, *options, text=None, properties=(), capture=()):
        self.name, self.options, self.text = name, options, text
        self.properties, self.capture = properties, capture


# A stranger's: two Windows of different versions, and a volume without one
SERVER = Recipe("Windows Server 2022", "--windows", "server2022", "--odd-files", "--oem", "0",
                "--link", "Windows/System32/ntoskrnl.exe=Windows/WinSxS/kernel of the store.exe",
                text="server, with & <odd> \"text\"",
                properties=("FLAGS=ServerDatacenter", "WINDOWS/ARCH=9", "VENDOR/BUILD[1]=one", "VENDOR/BUILD[2]=two",
                            "VENDOR/MARK=kept"))
CLIENT = Recipe("Windows 11 Pro", "--windows", "win11-22631", "--seed", "2",
                text="client", properties=("FLAGS=Professional", "WINDOWS/ARCH=9"),
                capture=("--boot",))
DATA = Recipe("Data", "--no-windows", text="no Windows in here")
GENERATED = (SERVER, CLIENT, DATA)


def build(world, name, recipes=GENERATED, compress="LZX", options=("--check",)):
    """A WIM of these images; [Image] of the volumes they were captured from."""
    wim, volumes = world.path(name), []
    for i, r in enumerate(recipes):
        v = volume(world, f"{os.path.basename(name)}-{i + 1}.raw", *r.options)
        volumes.append(v)
        first = [f"--compress={compress}", *options] if i == 0 else []
        capture(world, v, wim, r.name, *first, *r.capture, text=r.text, properties=r.properties)
    return wim, volumes


# ---- reading ----

def header(path):
    """Of a pipable WIM the one at its end, which knows where everything is."""
    with open(path, "rb") as f:
        h = dict(zip(FIELDS, HEADER.unpack(f.read(HEADER.size))))
        if h["magic"] == b"WLPWM\0\0\0":
            f.seek(-HEADER.size, os.SEEK_END)
            h = dict(zip(FIELDS, HEADER.unpack(f.read(HEADER.size))))
        return h


def resource(raw):
    """(offset, bytes in the file, original bytes, flags) of a resource's description."""
    return (struct.unpack_from("<Q", raw, 8)[0], int.from_bytes(raw[:7], "little"),
            struct.unpack_from("<Q", raw, 16)[0], raw[7])


def xml_text(path):
    offset, size, _, _ = resource(header(path)["xml"])
    with open(path, "rb") as f:
        f.seek(offset)
        return f.read(size).decode("utf-16")


def xml_images(path):
    """{image: [(path of the element, attributes, text)]}; 0: what is not of an image."""
    found = {}

    def walk(node, at, into):
        into.append((at, sorted(node.attrib.items()), node.text or ""))
        for kid in node:
            walk(kid, at + "/" + kid.tag, into)

    for node in ET.fromstring(xml_text(path)):
        index = int(node.get("INDEX")) if node.tag == "IMAGE" else 0
        walk(node, node.tag, found.setdefault(index, []))
    return found


def xml_value(path, image, element):
    """Text of one element of an image; a time as a FILETIME."""
    found = {at: text for at, _, text in xml_images(path)[image]}
    if "IMAGE/" + element + "/HIGHPART" in found:
        return (int(found[f"IMAGE/{element}/HIGHPART"], 16) << 32 |
                int(found[f"IMAGE/{element}/LOWPART"], 16))
    return found.get("IMAGE/" + element)


def entries(world, wim, image):
    """{path: lines} as wimdir tells it: attributes, descriptor, times, short name, streams by digest;
    hard links by the names of their group."""
    out = imagex(world, "dir", wim, str(image), "--detailed").out
    found, groups = {}, {}
    for block in out.split(RULE + "\n"):
        lines = [x.strip() for x in block.splitlines() if x.strip()]
        if not lines:
            continue
        path = re.match(r'Full Path *= "(.*)"$', lines[0]).group(1)
        group = next(x for x in lines if x.startswith("Link Group ID"))
        if int(group.split("=")[1], 16):
            groups.setdefault(group, []).append(path)
        lines = [x for x in lines[1:] if not PLACE.match(x)]
        check(path not in found, f"{wim}: {path} twice in image {image}")
        found[path] = lines
    for lines in found.values():
        at = next(i for i, x in enumerate(lines) if x.startswith("Link Group ID"))
        lines[at] = f"Links: {sorted(groups.get(lines[at], []))}"
    return found


def entry(found, path):
    """One of them, whatever the case of its name."""
    for name, lines in found.items():
        if name.lower() == "/" + path.lower():
            return lines
    return None


def value(lines, key):
    return next((x.split("=", 1)[1].strip() for x in lines if re.match(key + r" *=", x)), None)


def file_bytes(world, wim, image, path):
    """Content of a file, by wimlib."""
    tool = find_tool("wimlib-imagex")
    done = subprocess.run([tool, "extract", wim, str(image), "/" + path, "--to-stdout"],
                          capture_output=True, env=world.env)
    check(done.returncode == 0, f"{wim}: no {path} in image {image}: {done.stderr[-300:]}")
    return done.stdout


def apply_dir(world, wim, image):
    dest = world.fresh(".applied")
    imagex(world, "apply", wim, str(image), dest)
    return dest


def apply_ntfs(world, wim, image, like):
    """An NTFS volume that holds the image; an Image of the layout of `like`."""
    out = world.fresh(".raw")
    with open(out, "wb") as f:
        f.truncate(os.path.getsize(like.path))
    world.run([find_tool("mkntfs"), "-q", "-F", "-Q", "-s", "512", "-p", "0", "-H", "16", "-S",
               "63", out])
    imagex(world, "apply", wim, str(image), out)
    return like.at(out)


def sound(world, *wims):
    for wim in wims:
        imagex(world, "verify", wim)
        same(header(wim)["flags"] & FLAG_IN_PROGRESS, 0, f"{wim}: marked as being written")


# ---- changing ----

def put_header(path, **fields):
    h = header(path)
    h.update(fields)
    with open(path, "r+b") as f:
        f.write(HEADER.pack(*(h[k] for k in FIELDS)))


def put_xml(path, text):
    """Other XML data, behind everything else."""
    data = text.encode("utf-16")
    with open(path, "r+b") as f:
        at = f.seek(0, os.SEEK_END)
        f.write(data)
    put_header(path, xml=len(data).to_bytes(7, "little") + b"\x02" +
               struct.pack("<QQ", at, len(data)))


# ---- comparing ----

def below(path, tops):
    low = path.lower()
    return any(low == t or low.startswith(t + "/") for t in tops)


def same_but_for(before, after, changed, what):
    """Two images are the same but for these paths and what lies below them."""
    tops = {"/" + p.lower() for p in changed}
    for path in sorted(set(before) | set(after)):
        if not below(path, tops):
            check(path in after, f"{what}: {path} is gone")
            check(path in before, f"{what}: {path} is new, and not in the plan")
            same(after[path], before[path], f"{what}: {path}")


def same_xml_but_for(before, after, changed, what):
    """Names, descriptions, flags, elements that nobody knows: kept, in their order."""
    old, new = xml_images(before), xml_images(after)
    same(sorted(new), sorted(old), f"{what}: images of the XML data")
    for image, lines in old.items():
        skip = COUNTED if image in changed else {"TOTALBYTES"} if image == 0 else set()

        def kept(elements):
            return [e for e in elements if not skip & set(e[0].split("/"))]

        same(kept(new[image]), kept(lines), f"{what}: XML data of image {image}")


def same_header(before, after, what):
    old, new = header(before), header(after)
    for k in ("magic", "bytes", "version", "flags", "chunk", "guid", "part", "parts", "images",
              "boot_index"):
        same(new[k], old[k], f"{what}: {k} of the header")
    same(bool(resource(new["integrity"])[1]), bool(resource(old["integrity"])[1]),
         f"{what}: there is an integrity table")


def counted(world, before, after, image, time):
    """The counts and the time of an image follow its content."""
    b, a = entries(world, before, image), entries(world, after, image)

    def dirs(found):
        return sum("FILE_ATTRIBUTE_DIRECTORY is set" in lines and
                   "FILE_ATTRIBUTE_REPARSE_POINT is set" not in lines
                   for lines in found.values())

    def sizes(found):
        return sum(int(x.split("=")[1].split()[0]) for lines in found.values() for x in lines
                   if x.startswith("Uncompressed size"))

    def grown(element):
        return int(xml_value(after, image, element)) - int(xml_value(before, image, element))

    same(grown("DIRCOUNT"), dirs(a) - dirs(b), f"image {image}: DIRCOUNT")
    same(grown("FILECOUNT"), len(a) - len(b) - dirs(a) + dirs(b), f"image {image}: FILECOUNT")
    same(grown("TOTALBYTES"), sizes(a) - sizes(b), f"image {image}: TOTALBYTES")
    same(xml_value(after, image, "CREATIONTIME"), xml_value(before, image, "CREATIONTIME"),
         "CREATIONTIME")
    same(xml_value(after, image, "LASTMODIFICATIONTIME"), time, f"image {image}: time")


def sizes_options():
    return ["--size", SIZE, "--size", OTHER_SIZE]
