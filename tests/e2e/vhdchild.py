# SPDX-License-Identifier: GPL-3.0-or-later
"""A differencing VHD, which qemu-img cannot make. Written from Microsoft's "Virtual Hard Disk Image
Format Specification"."""
import os
import struct

BLOCK = 2 << 20


def sealed(b, at):
    """A footer or header with the right checksum."""
    struct.pack_into(">I", b, at, 0)
    struct.pack_into(">I", b, at, ~sum(b) & 0xffffffff)
    return bytes(b)


def vhd_footer(path):
    with open(path, "rb") as f:
        f.seek(-512, os.SEEK_END)
        return bytearray(f.read())


def differencing_vhd(path, parent, relative, ident, blocks=None, parent_id=None, time=0):
    """A child of the VHD `parent`, which it names by `relative`; blocks: {number: bytes}."""
    footer = vhd_footer(parent)
    size = struct.unpack_from(">Q", footer, 48)[0]
    n = (size + BLOCK - 1) // BLOCK
    header = bytearray(1024)
    struct.pack_into(">8sQQIII", header, 0, b"cxsparse", 2**64 - 1, 2048, 0x10000, n, BLOCK)
    header[40:56] = parent_id or footer[68:84]
    struct.pack_into(">I", header, 56, time)
    text = relative.encode("utf-16-le")
    table_end = 2048 + (n * 4 + 511) // 512 * 512
    struct.pack_into(">4sIIIQ", header, 576, b"W2ru", 512, len(text), 0, table_end)
    struct.pack_into(">Q", footer, 16, 512)
    struct.pack_into(">I", footer, 60, 4)
    footer[68:84] = ident
    footer = sealed(footer, 64)
    table, data, at = [0xffffffff] * n, b"", table_end + 512
    for number, content in (blocks or {}).items():
        table[number] = (at + len(data)) // 512
        data += b"\xff" * 512 + content.ljust(BLOCK, b"\0")
    with open(path, "wb") as f:
        f.write(footer + sealed(header, 36))
        f.seek(2048)
        f.write(struct.pack(f">{n}I", *table))
        f.seek(table_end)
        f.write(text)
        f.seek(at)
        f.write(data + footer)
    return path
