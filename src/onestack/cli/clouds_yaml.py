"""The user's clouds.yaml: our clouds go in as one marked block, and nothing else changes.

The file belongs to the user, with comments and order that a YAML library would lose. So its text
is edited, and what comes out is read again and compared before it replaces what was there.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onestack.cli.accounts import ADMIN, Entry, write_private
from onestack.cli.errors import Failure
from onestack.cli.folder import Folder

NAME = "onestack"
DEFAULT_NAMES = (NAME, f"{NAME}-{ADMIN}")
BEGIN = "# onestack begin "
END = "# onestack end "
BACKUP_SUFFIX = ".before-onestack"
SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Written:
    """What became of the file."""

    path: Path
    names: tuple[str, ...]
    changed: bool


class CannotEdit(Failure):
    """The file cannot be edited safely, and was left as it is."""


def location() -> Path:
    """The file that clients of this user read."""
    chosen = os.environ.get("OS_CLIENT_CONFIG_FILE")
    if chosen:
        return Path(chosen).absolute()
    home = Path.home() / ".config"
    configured = Path(os.environ.get("XDG_CONFIG_HOME") or home)
    folders = [configured / "openstack", home / "openstack"]
    candidates = [folder / f"clouds{suffix}" for folder in folders for suffix in SUFFIXES]
    return next((path for path in candidates if path.exists()), candidates[0])


def add(path: Path, folder: Folder, accounts: Mapping[str, Entry]) -> Written:
    """Put a cloud's accounts into the file; the blocks of clouds that are gone leave it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _held(path.parent):
        before = _read(path)
        text = _without_blocks(before, _is_there)
        others = _without_blocks(text, lambda data: data != str(folder.path))
        kept = _clouds(_parsed(others, path))
        base = _base_in(before, folder) or _free_name(kept, folder)
        ours = {_cloud_name(base, user): entry for user, entry in accounts.items()}
        after = _with_block(text, folder, _dumped(ours, 0), path)
        _replace(path, before, after, {**kept, **ours})
        return Written(path, tuple(ours), before != after)


def names(folder: Folder) -> tuple[str, str] | None:
    """The names under which the user's file holds a cloud: the member's, the administrator's."""
    try:
        base = _base_in(_read(location()), folder)
    except CannotEdit:
        return None
    return (base, f"{base}-{ADMIN}") if base else None


def problem(path: Path) -> str | None:
    """Why the file cannot be used, when it cannot."""
    try:
        _parsed(_read(path), path)
    except CannotEdit as error:
        return f"{error.message}: {error.why}" if error.why else error.message
    return None


def conflicts(path: Path) -> list[str]:
    """Other files that clients read first, or would have read without this one."""
    found: list[str] = []
    if os.environ.get("OS_CLIENT_CONFIG_FILE"):
        return found
    for suffix in SUFFIXES:
        here, host = Path.cwd() / f"clouds{suffix}", Path(f"/etc/openstack/clouds{suffix}")
        if here.exists() and here != path:
            found.append(f"in this folder, clients read {here} instead")
        if host.exists() and host != path:
            found.append(f"clients that read {path} do not read {host}")
    return found


def alone(accounts: Mapping[str, Entry]) -> str:
    """A clouds.yaml with these accounts and nothing else."""
    return "clouds:\n" + _dumped({_cloud_name(NAME, user): e for user, e in accounts.items()}, 2)


def _cloud_name(base: str, user: str) -> str:
    return f"{base}-{ADMIN}" if user == ADMIN else base


def _free_name(taken: Mapping[str, Any], folder: Folder) -> str:
    """`onestack` for the first cloud; the folder's name is added for those beside it."""
    own = "".join(letter if letter.isalnum() else "-" for letter in folder.path.name).strip("-")
    candidates = [NAME, f"{NAME}-{own or 2}", *(f"{NAME}-{own}-{n}" for n in range(2, 1000))]
    return next(c for c in candidates if c not in taken and f"{c}-{ADMIN}" not in taken)


def _base_in(text: str, folder: Folder) -> str | None:
    import yaml

    _, _, rest = text.replace("\r\n", "\n").partition(f"{BEGIN}{folder.path}\n")
    block, end, _ = rest.partition(f"{END}{folder.path}\n")
    try:
        found = yaml.safe_load(block) if end else None
    except yaml.YAMLError:
        return None
    keys = [str(key) for key in found] if isinstance(found, dict) else []
    return next((name for name in keys if f"{name}-{ADMIN}" in keys), None)


def _dumped(value: Mapping[str, Any], indent: int) -> str:
    import yaml

    text = yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True, width=10_000)
    return "".join(" " * indent + line for line in text.splitlines(keepends=True))


def _without_blocks(text: str, is_kept: Callable[[str], bool]) -> str:
    """The text without our blocks, but for those of folders that `is_kept` wants."""
    kept, dropping = [], None
    for line in text.splitlines(keepends=True):
        words = line.strip()
        if dropping is None and words.startswith(BEGIN):
            data = words.removeprefix(BEGIN)
            if not is_kept(data) and f"{END}{data}" in text:
                dropping = data
        if dropping is None:
            kept.append(line)
        elif words == f"{END}{dropping}":
            dropping = None
    return "".join(kept)


def _is_there(data: str) -> bool:
    return Path(data).is_dir()


def _with_block(text: str, folder: Folder, entries: str, path: Path) -> str:
    """The text with our block: where it was, or as the last entries of `clouds`."""
    newline = "\r\n" if "\r\n" in text else "\n"
    begin, end = f"{BEGIN}{folder.path}", f"{END}{folder.path}"
    lines = text.splitlines(keepends=True)
    marks = [line.strip() for line in lines]
    if begin in marks and end in marks:
        first, last = marks.index(begin), marks.index(end)
        indent = len(lines[first]) - len(lines[first].lstrip())
        head, gap, tail = "".join(lines[:first]), "", "".join(lines[last + 1 :])
    else:
        at, indent, gap = _place(text, path)
        head, tail = text[:at], text[at:]
    if head and not head.endswith("\n"):
        head += newline
    block = [f"{' ' * indent}{line}{newline}" for line in (begin, *entries.splitlines(), end)]
    return head + gap.replace("\n", newline) + "".join(block) + tail


def _place(text: str, path: Path) -> tuple[int, int, str]:
    """Where the block goes: position, indentation, and what must stand before it."""
    import yaml

    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None:
        return len(text), 2, "clouds:\n"
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise _not_editable(path)
    for key, value in root.value:
        if key.value == "clouds":
            if isinstance(value, yaml.ScalarNode) and not value.value:
                return _line_end(text, max(key.end_mark.index, value.end_mark.index)), 2, ""
            if not isinstance(value, yaml.MappingNode) or value.flow_style:
                raise _not_editable(path)
            at = _behind_mark(text, _line_end(text, _content_end(value)))
            return at, value.start_mark.column, ""
    return len(text), 2, "clouds:\n"


def _content_end(node: Any) -> int:
    """Where a node's last visible character is; its own mark lies behind comments that follow."""
    end: int = node.end_mark.index
    if isinstance(node.value, str) or node.flow_style or not node.value:
        return end
    last = node.value[-1]
    # An alias carries the marks of what it stands for, which lie before its key.
    parts = last if isinstance(last, tuple) else (last,)
    return max(_content_end(part) for part in parts)


def _behind_mark(text: str, at: int) -> int:
    """Past the comment that ends another cloud's block: blocks follow, and never nest."""
    line, newline, _ = text[at:].partition("\n")
    return at + len(line + newline) if line.strip().startswith(END) else at


def _line_end(text: str, at: int) -> int:
    if at > 0 and text[at - 1] == "\n":
        return at
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _parsed(text: str, path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        why = " ".join(str(error).split())
        raise CannotEdit(f"{path} is not valid YAML; it was left as it is", why=why) from None
    if not isinstance(content, dict) or not isinstance(content.get("clouds") or {}, dict):
        raise CannotEdit(f"{path} is no clouds.yaml: it holds no mapping of clouds")
    return content


def _clouds(content: Mapping[str, Any]) -> dict[str, Any]:
    return dict(content.get("clouds") or {})


def _replace(path: Path, before: str, after: str, expected: Mapping[str, Any]) -> None:
    """Write the new text, when it says what it should and nothing else changed."""
    if after == before:
        return
    try:
        old, new = _parsed(before, path), _parsed(after, path)
    except CannotEdit:
        raise _not_editable(path) from None
    others = [{k: v for k, v in content.items() if k != "clouds"} for content in (old, new)]
    if others[0] != others[1] or _clouds(new) != expected:
        raise _not_editable(path)
    real = path.resolve()  # a link to a file kept elsewhere stays a link
    if before:
        write_private(real.with_name(real.name + BACKUP_SUFFIX), before)
    write_private(real, after)


def _not_editable(path: Path) -> CannotEdit:
    return CannotEdit(
        f"{path} is written in a way that cannot be added to line by line",
        why="it was left as it is",
    )


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise CannotEdit(f"{path} cannot be read", why=str(error)) from None


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """One editor at a time."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
