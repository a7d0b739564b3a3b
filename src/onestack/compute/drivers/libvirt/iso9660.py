"""A small writer of CD-ROM images (ISO 9660 with Rock Ridge names), for config drives."""

import struct
from collections.abc import Mapping

import msgspec

SECTOR = 2048
SYSTEM_SECTORS = 16
# No time is written, so that the same content always gives the same image.
NO_TIME = bytes(7)
NO_DATE = b"0" * 16 + b"\0"
FOLDER_MODE, FILE_MODE = 0o040555, 0o100444
SP = b"SP\x07\x01\xbe\xef\x00"


class _Node(msgspec.Struct):
    """A folder or a file, and where it comes to lie."""

    name: str
    content: bytes | None = None  # None: a folder
    children: dict[str, "_Node"] = {}
    parent: "_Node | None" = None
    number: int = 1  # among folders
    sector: int = 0
    size: int = 0


def image(files: Mapping[str, bytes], label: str) -> bytes:
    """An image that holds these files, by their paths; `label` names the volume."""
    root = _tree(files)
    folders = _folders(root)
    for number, folder in enumerate(folders, 1):
        folder.number = number
        folder.size = _sectors(len(_listing(folder))) * SECTOR
    table_size = len(_path_table(folders, "<"))
    table_sectors = _sectors(table_size)
    at = SYSTEM_SECTORS + 2 + 2 * table_sectors
    contents = [node for folder in folders for node in folder.children.values()]
    for node in [*folders, *(each for each in contents if each.content is not None)]:
        if node.content is not None:
            node.size = len(node.content)
        node.sector = at
        at += max(1, _sectors(node.size))
    parts = [
        bytes(SYSTEM_SECTORS * SECTOR),
        _volume(root, label, at, (table_size, table_sectors)),
        _padded(b"\xffCD001\x01"),
        _padded(_path_table(folders, "<")),
        _padded(_path_table(folders, ">")),
        *(_padded(_listing(folder)) for folder in folders),
        *(_padded(node.content) or bytes(SECTOR) for node in contents if node.content is not None),
    ]
    return b"".join(parts)


def _tree(files: Mapping[str, bytes]) -> _Node:
    root = _Node("")
    root.parent = root
    for path, content in sorted(files.items()):
        *folders, name = [part for part in path.split("/") if part]
        at = root
        for folder in folders:
            at = at.children.setdefault(folder, _Node(folder, parent=at))
        at.children[name] = _Node(name, content, parent=at)
    return root


def _folders(root: _Node) -> list[_Node]:
    """All folders, those of a level before those below: the order that path tables have."""
    found = [root]
    for folder in found:
        found += [each for each in folder.children.values() if each.content is None]
    return found


def _listing(folder: _Node) -> bytes:
    """A folder's own sectors: an entry does not reach over the end of one."""
    assert folder.parent is not None
    entries = [
        _entry(folder, b"\0", SP + _mode(FOLDER_MODE)),
        _entry(folder.parent, b"\1", _mode(FOLDER_MODE)),
    ]
    for number, node in enumerate(folder.children.values()):
        mode = FOLDER_MODE if node.content is None else FILE_MODE
        plain = b"%08d" % number + (b"" if node.content is None else b".;1")
        entries.append(_entry(node, plain, _alternate(node.name) + _mode(mode)))
    data = b""
    for entry in entries:
        if len(data) % SECTOR + len(entry) > SECTOR:
            data = _padded(data)
        data += entry
    return data


def _entry(node: _Node, name: bytes, extra: bytes) -> bytes:
    """A directory record; both it and what Rock Ridge adds have an even length."""
    length = len(name)
    name += b"" if length % 2 else b"\0"
    extra += bytes(len(extra) % 2)
    return (
        bytes([33 + len(name) + len(extra), 0]) + _both4(node.sector) + _both4(node.size)
        + NO_TIME + bytes([0 if node.content is not None else 2, 0, 0]) + _both2(1)
        + bytes([length]) + name + extra
    )  # fmt: skip


def _alternate(name: str) -> bytes:
    encoded = name.encode()
    return b"NM" + bytes([5 + len(encoded), 1, 0]) + encoded


def _mode(mode: int) -> bytes:
    return b"PX" + bytes([36, 1]) + _both4(mode) + _both4(1) + _both4(0) + _both4(0)


def _path_table(folders: list[_Node], order: str) -> bytes:
    table = b""
    for folder in folders:
        assert folder.parent is not None
        name = b"\0" if folder.parent is folder else b"%08d" % _place(folder)
        table += struct.pack(f"{order}BBIH", len(name), 0, folder.sector, folder.parent.number)
        table += name + b"\0" * (len(name) % 2)
    return table


def _place(node: _Node) -> int:
    assert node.parent is not None
    return list(node.parent.children).index(node.name)


def _volume(root: _Node, label: str, sectors: int, table: tuple[int, int]) -> bytes:
    """The primary volume descriptor."""
    table_size, table_sectors = table
    first = SYSTEM_SECTORS + 2
    text = (
        b"\x01CD001\x01\0" + b" " * 32 + label.encode().ljust(32)[:32] + bytes(8) + _both4(sectors)
        + bytes(32) + _both2(1) + _both2(1) + _both2(SECTOR) + _both4(table_size)
        + struct.pack("<II", first, 0) + struct.pack(">II", first + table_sectors, 0)
        + _entry(root, b"\0", b"") + b" " * 128 + b" " * 128 + b" " * 128 + b" " * 128
        + b" " * 37 * 3 + NO_DATE * 4 + b"\x01\0"
    )  # fmt: skip
    return _padded(text)


def _both2(number: int) -> bytes:
    return struct.pack("<H", number) + struct.pack(">H", number)


def _both4(number: int) -> bytes:
    return struct.pack("<I", number) + struct.pack(">I", number)


def _sectors(size: int) -> int:
    return -(-size // SECTOR)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % SECTOR)
