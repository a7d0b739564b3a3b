"""Shapes: what bodies, query strings and answers look like, and in which microversions."""

import datetime as dt
from collections.abc import Mapping
from functools import cache, reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

__all__ = [
    "UNSET", "Extras", "Flag", "Id", "Meta", "Name", "Named", "Shape", "Short", "Unlimited",
    "UnsetType", "Version", "Window", "at", "cut", "extras_of", "field", "iso", "since", "until",
    "widen",
]  # fmt: skip


class Shape(Struct, kw_only=True):
    """A JSON object of the API; subclasses add fields."""


Id = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Short = Annotated[str, Meta(max_length=255)]
Unlimited = Annotated[int, Meta(ge=-1, le=2**31 - 1)]
Flag = bool


class Version(NamedTuple):
    """A microversion."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> "Version":
        major, _, minor = text.partition(".")
        if not (major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()):
            raise ValueError(f"Version string {text!r} is not of the form major.minor")
        if len(text) > 12:
            raise ValueError("Version string is too long")
        return cls(int(major), int(minor))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


FIRST, LAST = Version(0, 0), Version(999, 999999)


class Window(NamedTuple):
    """The closed range of versions in which a field or an operation exists."""

    since: Version = FIRST
    until: Version = LAST

    def holds(self, version: Version) -> bool:
        return self.since <= version <= self.until


class Named(NamedTuple):
    """The field's name in JSON, for two fields that share one in different versions."""

    name: str


class Extras:
    """Marks the one field that takes, and gives back, every attribute not declared."""


def since(text: str) -> Window:
    return Window(since=Version.parse(text))


def until(text: str) -> Window:
    return Window(until=Version.parse(text))


@cache
def extras_of(shape: Any) -> str | None:
    """The name of the field that holds undeclared attributes, if the shape has one."""
    if not (isinstance(shape, type) and issubclass(shape, Struct)):
        return None
    for name, hint in get_type_hints(shape, include_extras=True).items():
        if any(mark is Extras for mark in getattr(hint, "__metadata__", ())):
            return name
    return None


@cache
def edges(shape: Any) -> frozenset[Version]:
    """The versions at which a shape changes: between two of them, versions share one type."""
    found: set[Version] = set()
    _collect_edges(shape, found, set())
    return frozenset(found)


@cache
def at(shape: Any, version: Version) -> Any:
    """`shape` as a client that speaks `version` sees it."""
    changes = [edge for edge in edges(shape) if edge <= version]
    return _at(shape, max(changes, default=FIRST))


def cut(value: Any, shape: Any, version: Version) -> Any:
    """A value of the newest shape, as a client that speaks `version` sees it."""
    seen = at(shape, version)
    return value if seen is shape else msgspec.convert(value, seen, from_attributes=True)


def widen(value: Any, shape: Any, version: Version) -> Any:
    """A value that came in the client's version, as the newest shape: what it lacks is UNSET."""
    if at(shape, version) is shape:
        return value
    origin, arguments = get_origin(shape), get_args(shape)
    if isinstance(shape, type) and issubclass(shape, Struct):
        return _widen_struct(value, shape, version)
    if origin is Annotated:
        return widen(value, arguments[0], version)
    if origin in (Union, UnionType):
        for argument in arguments:
            seen = at(argument, version)
            if isinstance(seen, type) and isinstance(value, seen):
                return widen(value, argument, version)
        lists = [argument for argument in arguments if get_origin(argument) is list]
        return widen(value, lists[0], version) if lists and isinstance(value, list) else value
    if origin is list:
        return [widen(each, arguments[0], version) for each in value]
    if origin is dict:
        return {key: widen(each, arguments[1], version) for key, each in value.items()}
    return value


def iso(moment: dt.datetime | None) -> str | None:
    """A moment as most services write it."""
    return None if moment is None else moment.isoformat(timespec="microseconds") + "Z"


@cache
def _at(shape: Any, version: Version) -> Any:
    origin, arguments = get_origin(shape), get_args(shape)
    if isinstance(shape, type) and issubclass(shape, Struct):
        return _struct_at(shape, version)
    if origin is Annotated:
        kept = [mark for mark in shape.__metadata__ if not isinstance(mark, Window | Named)]
        inner = _at(arguments[0], version)
        return Annotated[(inner, *kept)] if kept else inner
    if origin in (Union, UnionType):
        return reduce(or_, (_at(argument, version) for argument in arguments))
    if origin is not None and arguments:
        return origin[tuple(_at(argument, version) for argument in arguments)]
    return shape


def _struct_at(struct: type[Struct], version: Version) -> type[Struct]:
    if not edges(struct) and not _renames(struct):
        return struct
    hints = get_type_hints(struct, include_extras=True)
    visible = []
    for each in msgspec.structs.fields(struct):
        marks = getattr(hints[each.name], "__metadata__", ())
        if all(mark.holds(version) for mark in marks if isinstance(mark, Window)):
            name = next((m.name for m in marks if isinstance(m, Named)), each.encode_name)
            default: Any = field(  # type: ignore[call-overload]
                default=each.default, default_factory=each.default_factory, name=name
            )
            visible.append((each.name, _at(hints[each.name], version), default))
    return msgspec.defstruct(
        struct.__name__,
        visible,
        kw_only=True,
        forbid_unknown_fields=struct.__struct_config__.forbid_unknown_fields,
    )


def _widen_struct(value: Any, struct: type[Struct], version: Version) -> Any:
    hints = get_type_hints(struct, include_extras=True)
    given = {
        each.name: widen(getattr(value, each.name), hints[each.name], version)
        if hasattr(value, each.name)
        else UNSET
        for each in msgspec.structs.fields(struct)
        if hasattr(value, each.name) or each.required
    }
    return struct(**given)


def _renames(struct: type[Struct]) -> bool:
    hints = get_type_hints(struct, include_extras=True).values()
    return any(
        isinstance(mark, Named) for hint in hints for mark in getattr(hint, "__metadata__", ())
    )


def _collect_edges(shape: Any, found: set[Version], seen: set[Any]) -> None:
    if isinstance(shape, type) and issubclass(shape, Struct):
        if shape in seen:
            return
        seen.add(shape)
        for hint in get_type_hints(shape, include_extras=True).values():
            _collect_edges(hint, found, seen)
        return
    for mark in getattr(shape, "__metadata__", ()):
        if isinstance(mark, Window):
            found.add(mark.since)
            if mark.until != LAST:
                found.add(Version(mark.until.major, mark.until.minor + 1))
    for argument in get_args(shape):
        _collect_edges(argument, found, seen)


def gather_extras(shape: type[Struct], extra: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a JSON object, with those the shape does not declare under `extra`."""
    names = {each.encode_name for each in msgspec.structs.fields(shape)} - {extra}
    known = {key: value for key, value in given.items() if key in names}
    known[extra] = {key: value for key, value in given.items() if key not in names}
    return known
