#!/usr/bin/env python3
"""Disk files as other programs write them, made of what qemu-img writes or from nothing; each function is a command.

    diskfiles.py creator VHD NAME          another program made it (4 characters, \\0 for a zero byte)
    diskfiles.py size VHD BYTES            it says another size
    diskfiles.py geometry VHD C H S        or another geometry
    diskfiles.py kind VHD KIND             2 fixed, 3 dynamic, 4 differencing
    diskfiles.py log VHDX OFFSET HEXBYTE   its log says that 4096 such bytes are to be written at OFFSET of the disk
    diskfiles.py zeros VHDX OFFSET LENGTH [PLACE]
                                           or so many zeros, or at PLACE of the file
    diskfiles.py cowd RAW FILE             a sparse file of ESX (COWD) with the raw disk's content
    diskfiles.py sesparse RAW FILE         a sparse file of ESXi 6.5 and later (seSparse)
    diskfiles.py tables FILE               a VMDK or VDI of qemu-img's says that its tables take as much as QEMU allows
    diskfiles.py words RAW FILE WORDS      FILE begins with the words (\\xNN for a byte), and goes on as RAW
"""
import struct
import sys
import uuid

SECTOR = 512


def footers(file):
    """The places of a VHD's footers."""
    file.seek(0)
    at = [0] if file.read(8) == b"conectix" else []
    file.seek(0, 2)
    return at + [file.tell() - SECTOR]


def change_footer(path, offset, value):
    """With the checksum that it has then."""
    with open(path, "r+b") as file:
        for at in footers(file):
            file.seek(at)
            footer = bytearray(file.read(SECTOR))
            footer[offset:offset + len(value)] = value
            footer[64:68] = bytes(4)
            footer[64:68] = struct.pack(">I", ~sum(footer) & 0xFFFFFFFF)
            file.seek(at)
            file.write(footer)


def creator(path, name):
    change_footer(path, 28, name.encode().decode("unicode_escape").encode("latin-1").ljust(4, b" "))


def size(path, number):
    change_footer(path, 48, struct.pack(">Q", int(number)))


def geometry(path, cylinders, heads, sectors):
    change_footer(path, 56, struct.pack(">HBB", int(cylinders), int(heads), int(sectors)))


def kind(path, number):
    change_footer(path, 60, struct.pack(">I", int(number)))


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def with_crc(block, at=4):
    block = bytearray(block)
    block[at:at + 4] = bytes(4)
    block[at:at + 4] = struct.pack("<I", crc32c(block))
    return bytes(block)


def place_of(data, offset):
    """Where in a VHDX's file an offset of the disk lies; its block must be there."""
    region = data[192 << 10:]
    entries = [region[16 + 32 * i:48 + 32 * i] for i in range(struct.unpack_from("<I", region, 8)[0])]
    places = {uuid.UUID(bytes_le=entry[:16]): struct.unpack_from("<Q", entry, 16)[0] for entry in entries}
    bat = places[uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")]
    metadata = places[uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")]
    parameters = next(struct.unpack_from("<I", data, metadata + 32 + 32 * i + 16)[0] for i in range(8)
                      if data[metadata + 32 + 32 * i:][:16] == uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le)
    block = struct.unpack_from("<I", data, metadata + parameters)[0]
    entry = struct.unpack_from("<Q", data, bat + 8 * (offset // block))[0]
    assert entry & 7 == 6, "the block is not there"
    return (entry >> 20 << 20) + offset % block


def write_log(path, describe):
    """describe(data, number) gives a descriptor and its sectors; the one entry of the log then has that number."""
    with open(path, "r+b") as file:
        data = file.read()
        headers = [(struct.unpack_from("<Q", data, at + 8)[0], at) for at in (64 << 10, 128 << 10) if data[at:at + 4] == b"head"]
        sequence, current = max(headers)
        header = bytearray(data[current:current + 4096])
        other = (128 << 10) if current == 64 << 10 else 64 << 10
        where = struct.unpack_from("<Q", header, 72)[0]
        guid = uuid.UUID("12345678-9abc-4def-8123-456789abcdef").bytes_le
        number = 1
        descriptor, sectors = describe(data, number)
        first = b"loge" + struct.pack("<IIIQII", 0, 4096 + len(sectors), 0, number, 1, 0) + guid + struct.pack("<QQ", len(data), len(data))
        file.seek(where)
        file.write(with_crc((first + descriptor).ljust(4096, b"\0") + sectors))
        header[8:16] = struct.pack("<Q", sequence + 1)
        header[48:64] = guid
        file.seek(other)
        file.write(with_crc(header))


def log(path, offset, byte):
    """What the log says is not in the block yet."""
    content = bytes([int(byte, 16)]) * 4096

    def describe(data, number):
        sector = b"data" + struct.pack("<I", number >> 32) + content[8:4092] + struct.pack("<I", number & 0xFFFFFFFF)
        return b"desc" + content[4092:] + content[:8] + struct.pack("<QQ", place_of(data, int(offset)), number), sector

    write_log(path, describe)


def zeros(path, offset, length, place=None):
    write_log(path, lambda data, number: (b"zero" + struct.pack("<IQQQ", 0, int(length), int(place or place_of(data, int(offset))), number), b""))


def read_grains(path, grain):
    with open(path, "rb") as file:
        data = file.read()
    return len(data) // SECTOR, [data[at:at + grain * SECTOR].ljust(grain * SECTOR, b"\0") for at in range(0, len(data), grain * SECTOR)]


def cowd(raw, path):
    """Grains of 1 sector, 4096 entries a table."""
    sectors, grains = read_grains(raw, 1)
    tables = -(-sectors // 4096)
    directory_at = 4
    tables_at = directory_at + -(-tables * 4 // SECTOR)
    at = tables_at + tables * 32
    places, content = [], []
    for grain in grains:
        places.append(at if any(grain) else 0)
        if any(grain):
            content.append(grain)
            at += 1
    with open(path, "wb") as file:
        file.write(b"COWD" + struct.pack("<11I", 1, 3, sectors, 1, directory_at, tables, at, 1, 1, 1, 0))
        file.seek(directory_at * SECTOR)
        file.write(struct.pack(f"<{tables}I", *(tables_at + 32 * i for i in range(tables))))
        file.seek(tables_at * SECTOR)
        file.write(struct.pack(f"<{len(places)}I", *places))
        file.seek((tables_at + tables * 32) * SECTOR)
        file.write(b"".join(content))
        file.truncate(at * SECTOR)


def sesparse(raw, path):
    """Grains of 8 sectors, 4096 entries of 8 bytes a table."""
    sectors, grains = read_grains(raw, 8)
    tables = -(-len(grains) // 4096)
    directory_at, directory = 128, -(-tables * 8 // SECTOR)
    tables_at = directory_at + directory
    grains_at = -(-(tables_at + tables * 64) // 8) * 8
    entries, content = [], []
    for grain in grains:
        if any(grain):
            number = len(content)
            entries.append(0x3 << 60 | (number & 0xFFF) << 48 | number >> 12)
            content.append(grain)
        else:
            entries.append(0)
    header = struct.pack("<26Q", 0xCAFEBABE, 0x200000001, sectors, 8, 64, 0, 0, 0, 0, 0, 1, 1, 2, 1, 3, 64, directory_at, directory,
                         tables_at, tables * 64, 0, 0, 0, 0, grains_at, len(content) * 8)
    with open(path, "wb") as file:
        file.write(header)
        file.seek(SECTOR)
        file.write(struct.pack("<4Q", 0xCAFECAFE, 0, 0, 0))
        file.seek(directory_at * SECTOR)
        file.write(struct.pack(f"<{tables}Q", *(0x1 << 60 | i for i in range(tables))))
        file.seek(tables_at * SECTOR)
        file.write(struct.pack(f"<{len(entries)}Q", *entries))
        file.seek(grains_at * SECTOR)
        file.write(b"".join(content))
        file.truncate((grains_at + len(content) * 8) * SECTOR)


def tables(path):
    """They are there, as a hole."""
    with open(path, "r+b") as file:
        if file.read(4) == b"KDMV":
            file.seek(12)
            file.write(struct.pack("<Q", (32 << 20) * 512 * 128 - 1))
        else:
            file.seek(368)
            file.write(struct.pack("<Q", 0x1FFFFF00 << 20))
            file.seek(384)
            file.write(struct.pack("<I", 0x1FFFFF00))
        file.truncate(3 << 30)


def words(raw, path, text):
    with open(raw, "rb") as file:
        data = file.read()
    start = text.encode().decode("unicode_escape").encode("latin-1")
    with open(path, "wb") as file:
        file.write(start + data[len(start):])


globals()[sys.argv[1]](*sys.argv[2:])
