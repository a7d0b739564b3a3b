"""The inspector takes what is sound, and nothing else; whatever comes, it ends soon."""

import random
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from onestack.image.images.attributes import DiskFormat
from onestack.image.inspection import Finding, Inspector, Refused
from tests.image import disks
from tests.servers.install import program

FORMATS = tuple(DiskFormat.__args__)
SOUND = [(name, disk) for name, samples in disks.SOUND.items() for disk in samples]
OF_SIZE = ("qcow2", "vmdk", "vdi", "vhd", "vhdx", "ploop")
PIECES = (1 << 30, 64 << 10, 4093)


def inspect(
    disk_format: str, data: bytes, container: str = "bare", piece_bytes: int = 64 << 10
) -> Finding:
    """What the inspector says of data that comes in pieces."""
    inspector = Inspector(disk_format, container)
    for start in range(0, len(data), piece_bytes):
        inspector.feed(data[start : start + piece_bytes])
    return inspector.finish()


@pytest.mark.parametrize("piece_bytes", PIECES)
@pytest.mark.parametrize(("disk_format", "disk"), SOUND)
def test_sound_disks_are_taken(disk_format: str, disk: bytes, piece_bytes: int) -> None:
    found = inspect(disk_format, disk, piece_bytes=piece_bytes)
    assert found.virtual_size == (disks.GIB if disk_format in OF_SIZE else len(disk))


@pytest.mark.parametrize(("disk_format", "disk"), SOUND)
def test_what_is_declared_as_something_else_is_refused(disk_format: str, disk: bytes) -> None:
    opaque = ("raw", "aki", "ari", "ami", "gpt")
    for declared in FORMATS:
        if declared == disk_format or (disk_format in opaque and declared in opaque):
            continue
        with pytest.raises(Refused):
            inspect(declared, disk)


@pytest.mark.parametrize("container", ["ova", "docker", "compressed"])
def test_packed_images_hide_what_they_hold(container: str) -> None:
    assert inspect("vmdk", b"a tape archive", container).virtual_size is None
    for disk in (disks.qcow2(), disks.vmdk(), disks.qed()):
        with pytest.raises(Refused):
            inspect("vmdk", disk, container)


DANGEROUS = {
    "qcow2": [
        disks.qcow2(backing=b"/etc/passwd"),
        disks.qcow2(backing=b"nbd://127.0.0.1:10809"),
        disks.qcow2(version=2, backing=b"json:{}"),
        disks.qcow2(incompatible=0b100),
        disks.qcow2(incompatible=0b10),
        disks.qcow2(incompatible=1 << 5),
        disks.qcow2(incompatible=1 << 63),
        disks.qcow2(extensions=disks.extension(0x44415441, b"/etc/shadow")),
        disks.qcow2(extensions=disks.extension(1, b"") * 100),
        disks.qcow2(version=1),
        disks.qcow2(version=4),
        disks.qcow2(cluster_bits=8),
        disks.qcow2(cluster_bits=63),
        disks.qcow2(header_bytes=96),
        disks.qcow2(header_bytes=1 << 16),
        disks.qcow2(8 << 60),
        disks.qcow2((1 << 64) - 1),
        disks.qcow2()[:40],
        disks.qed(),
        b"QFI\xfb",
        b"",
    ],
    "vmdk": [
        disks.description("monolithicFlat", 'RW 100 FLAT "/etc/passwd" 0'),
        disks.vmdk(disks.description("monolithicFlat", 'RW 100 FLAT "x-flat.vmdk" 0')),
        disks.vmdk(disks.description("twoGbMaxExtentSparse")),
        disks.vmdk(disks.description("vmfs", 'RW 100 VMFS "x"')),
        disks.vmdk(disks.description("custom")),
        disks.vmdk(disks.description(extents='RW 100 SPARSE "/etc/passwd"')),
        disks.vmdk(disks.description(extents='RW 100 SPARSE "../x"')),
        disks.vmdk(disks.description(extents='RW 100 FLAT "x" 0')),
        disks.vmdk(disks.description(extents='RW 1 SPARSE "a"\nRW 1 SPARSE "b"')),
        disks.vmdk(disks.description(extents='RW 1 SPARSE "a"\n  rdonly 1 FLAT "/etc/passwd" 0')),
        disks.vmdk(disks.description(extents="")),
        disks.vmdk(disks.description(extents="RW")),
        disks.vmdk(disks.description(more='parentFileNameHint="/etc/passwd"')),
        disks.vmdk(disks.description(more="parentCID=12345678")),
        disks.vmdk(disks.description(more='createType="monolithicFlat"')),
        disks.vmdk(disks.description(more='# createType="monolithicFlat"')),
        disks.vmdk(disks.description().replace(b"parentCID=ffffffff", b"parentCID=01234567")),
        disks.vmdk(b""),
        disks.vmdk(sectors=0),
        disks.vmdk(sectors=1 << 62),
        disks.vmdk(version=9),
        disks.vmdk(offset=0),
        disks.vmdk(offset=1 << 40),
        disks.vmdk(footer=b"KDMV"),
        disks.vmdk(footer=b"nothing"),
        b"COWD" + bytes(4096),
        b"KDMV",
    ],
    "vdi": [disks.vdi(kind=4), disks.vdi(version=1), disks.vdi(parent=b"x" * 16),
            disks.vdi(1 << 63), disks.vdi()[:100]],
    "vhd": [disks.vhd(kind=4), disks.vhd(1 << 63), disks.vhd()[:100], bytes(4096)],
    "vhdx": [
        disks.vhdx(flags=2),
        disks.vhdx(items=("file", "size", "parent")),
        disks.vhdx(items=("file",)),
        disks.vhdx(items=("size", "size", "file")),
        disks.vhdx(regions=("bat",)),
        disks.vhdx(regions=("metadata", "metadata")),
        disks.vhdx(regions=("metadata", "unknown")),
        disks.vhdx(metadata_offset=0),
        disks.vhdx(metadata_offset=1 << 62),
        disks.vhdx(1 << 62),
        disks.vhdx()[: 1 << 20],
        b"vhdxfile",
    ],
    "iso": [disks.iso(disks.qcow2()[:1024]), disks.iso(b"vhdxfile"), b"no disc"],
    "raw": [disks.qcow2(), disks.vmdk(), disks.description(), disks.vdi(), disks.vhd(),
            disks.vhd(kind=2), disks.vhdx(), disks.qed(), disks.ploop(), disks.iso(),
            b"OOOM" + bytes(100), b"Bochs Virtual HD Image" + bytes(600),
            bytes(4096) + b"koly".ljust(512, b"\0")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("disk_format", "disk"),
    [(name, disk) for name, samples in DANGEROUS.items() for disk in samples],
)
def test_dangerous_disks_are_refused(disk_format: str, disk: bytes) -> None:
    for piece_bytes in PIECES:
        with pytest.raises(Refused):
            inspect(disk_format, disk, piece_bytes=piece_bytes)


def test_what_is_dangerous_is_refused_before_all_of_it_came() -> None:
    inspector = Inspector("qcow2", "bare")
    disk = disks.qcow2(backing=b"/etc/passwd")
    with pytest.raises(Refused):
        inspector.feed(disk + bytes(1 << 20))


@settings(max_examples=400, deadline=2000, suppress_health_check=list(HealthCheck))
@given(
    sample=st.sampled_from(SOUND),
    declared=st.sampled_from(FORMATS),
    changes=st.lists(
        st.tuples(st.integers(0, 4096), st.binary(min_size=1, max_size=16)), max_size=8
    ),
    deep=st.lists(st.tuples(st.integers(0, 1 << 22), st.binary(min_size=1, max_size=16))),
    cut=st.none() | st.integers(0, 70_000),
    piece_bytes=st.sampled_from(PIECES),
)
@example(("raw", b""), "vhd", [], [], None, 4093)
def test_malformed_disks_end_in_a_refusal_or_a_finding(
    sample: tuple[str, bytes], declared: str, changes: list[tuple[int, bytes]],
    deep: list[tuple[int, bytes]], cut: int | None, piece_bytes: int,
) -> None:  # fmt: skip
    disk_format, disk = sample
    image = bytearray(disk)
    for offset, content in (*changes, *deep):
        if offset < len(image):
            image[offset : offset + len(content)] = content
    data = bytes(image[:cut])
    for each in {disk_format, declared}:
        try:
            found = inspect(each, data, piece_bytes=piece_bytes)
        except Refused:
            continue
        assert found.virtual_size is not None
        assert 0 <= found.virtual_size <= 64 << 40


@settings(max_examples=200, deadline=2000)
@given(data=st.binary(max_size=5000), declared=st.sampled_from(FORMATS))
def test_noise_ends_in_a_refusal_or_a_finding(data: bytes, declared: str) -> None:
    with suppress(Refused):
        assert inspect(declared, data).format in {*FORMATS, "mbr", "luks"}


def test_descriptions_made_to_stall_do_not() -> None:
    stalling = [b"=" * 60_000, b" " * 60_000, b'"' * 60_000, b"\n" * 60_000, b"RW " * 20_000,
                b"a=" + b" " * 59_000 + b'"x']  # fmt: skip
    began = time.process_time()
    for text in stalling:
        with pytest.raises(Refused):
            inspect("vmdk", disks.vmdk(b"# Disk DescriptorFile\n" + text))
        with pytest.raises(Refused):
            inspect("vhdx", disks.vhdx(regions=("unknown",) * 2047))
    assert time.process_time() - began < 5


def test_inspection_takes_little_memory() -> None:
    inspector = Inspector("raw", "bare")
    piece = random.Random(1).randbytes(1 << 20)
    for _ in range(64):
        inspector.feed(piece)
    kept = sum(len(each) for each in vars(inspector._regions).values() if hasattr(each, "__len__"))
    assert kept < 1 << 20
    assert inspector.finish().virtual_size == 64 << 20


QEMUS = (
    ("raw", "raw", ()),
    ("qcow2", "qcow2", ()),
    ("qcow2", "qcow2", ("compat=0.10",)),
    ("qcow2", "qcow2", ("extended_l2=on", "compression_type=zstd")),
    ("vmdk", "vmdk", ()),
    ("vmdk", "vmdk", ("subformat=streamOptimized",)),
    ("vdi", "vdi", ()),
    ("vdi", "vdi", ("static=on",)),
    ("vhd", "vpc", ("force_size=on",)),
    ("vhd", "vpc", ("force_size=on", "subformat=fixed")),
    ("vhdx", "vhdx", ()),
)


@pytest.mark.parametrize(("disk_format", "name", "options"), QEMUS)
def test_what_qemu_makes_is_taken(
    disk_format: str, name: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes((b"data" * 1024).ljust(4 << 20, b"\0"))
    chosen = ["-o", ",".join(options)] if options else []
    command = [str(program("qemu-img")), "convert", "-f", "raw", "-O", name, *chosen]
    subprocess.run([*command, str(source), str(target)], check=True)
    for piece_bytes in PIECES:
        found = inspect(disk_format, target.read_bytes(), piece_bytes=piece_bytes)
        assert found.virtual_size == 4 << 20


def test_what_qemu_makes_of_several_files_is_refused(tmp_path: Path) -> None:
    tool = str(program("qemu-img"))
    (tmp_path / "base").write_bytes(bytes(1 << 20))
    commands = {
        "qcow2": ["-b", "base", "-F", "raw", "backed.qcow2"],
        "qcow2 with its data elsewhere": ["-o", "data_file=data", "split.qcow2", "1M"],
        "vmdk": ["-o", "subformat=monolithicFlat", "flat.vmdk", "1M"],
        "qed": ["old.qed", "1M"],
    }
    for what, arguments in commands.items():
        disk_format = what.split(maxsplit=1)[0]
        command = [tool, "create", "-q", "-f", disk_format, *arguments]
        subprocess.run(command, check=True, cwd=tmp_path)
        made = next(path for path in tmp_path.iterdir() if path.name in arguments[-2:])
        with pytest.raises(Refused):
            inspect("vmdk" if disk_format == "vmdk" else "qcow2", made.read_bytes())
