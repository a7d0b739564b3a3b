"""Shapes: what bodies, query strings and answers look like, and in which microversions."""

import datetime as dt
from collections.abc import Callable, Mapping
from functools import cache, reduce
from operator import attrgetter, or_
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

__all__ = [
    "UNSET", "Extras", "Id", "Meta", "Name", "Named", "Shape", "Short", "Unlimited",
    "UnsetType", "Version", "Window", "at", "cut", "extras_of", "field", "iso", "since",
    "unless_null", "until", "widen",
]  # fmt: skip


class Shape(Struct, kw_only=True, gc=False):
    """A JSON object of the API; subclasses add fields. It is a tree, so no collector has to look
    for circles in it: that would be a third of what a list of a thousand costs."""


Id = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Short = Annotated[str, Meta(max_length=255)]
Unlimited = Annotated[int, Meta(ge=-1, le=2**31 - 1)]


class Link(Shape):
    """An address, and what it is of."""

    rel: str
    href: str


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
    for name, hint in _hints(shape).items():
        if any(mark is Extras for mark in getattr(hint, "__metadata__", ())):
            return name
    return None


@cache
def unless_null(shape: Any) -> Any:
    """The shape of what is given where null may be given too."""
    kinds = get_args(shape) if get_origin(shape) in (Union, UnionType) else ()
    others = [each for each in kinds if each is not NoneType]
    return others[0] if len(others) == 1 else shape


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
    return _turned(value, _turner(shape, version, widens=False))


def widen(value: Any, shape: Any, version: Version) -> Any:
    """A value that came in the client's version, as the newest shape: what it lacks is UNSET."""
    return _turned(value, _turner(shape, version, widens=True))


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
    hints, config = _hints(struct), struct.__struct_config__
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
        gc=False,
        forbid_unknown_fields=config.forbid_unknown_fields,
        omit_defaults=config.omit_defaults,
        tag=config.tag,
        tag_field=config.tag_field,
    )


Turner = Callable[[Any], Any]


def _turned(value: Any, turner: Turner | None) -> Any:
    return value if turner is None or value is UNSET else turner(value)


@cache
def _turner(shape: Any, version: Version, widens: bool) -> Turner | None:
    """What turns a value of one of two shapes, the newest and the client's, into one of the other;
    None where both are the same. Made once: lists of a thousand are turned item by item."""
    if at(shape, version) == _bare(shape):
        return None
    origin, arguments = get_origin(shape), get_args(shape)
    if origin is Annotated:
        return _turner(arguments[0], version, widens)
    if origin in (Union, UnionType):
        return _union_turner(arguments, version, widens)
    if origin is list:
        turner = _turner(arguments[0], version, widens)
        return lambda value: [_turned(each, turner) for each in value]
    if origin is dict:
        turner = _turner(arguments[1], version, widens)
        return lambda value: {key: _turned(each, turner) for key, each in value.items()}
    return _widener(shape, version) if widens else _cutter(shape, version)


def _union_turner(arguments: Any, version: Version, widens: bool) -> Turner:
    choices = [
        (at(argument, version) if widens else argument, _turner(argument, version, widens))
        for argument in arguments
    ]

    def turn(value: Any) -> Any:
        for kind, turner in choices:
            if _is_of(value, kind):
                return _turned(value, turner)
        return value

    return turn


def _cutter(struct: type[Struct], version: Version) -> Turner:
    """Takes away what the client's version does not know."""
    hints, target = _hints(struct), _positional(at(struct, version))
    names = [each.name for each in msgspec.structs.fields(target)]
    turners = [_turner(hints[name], version, widens=False) for name in names]
    turned = [(index, turner) for index, turner in enumerate(turners) if turner is not None]
    read = attrgetter(*names) if len(names) > 1 else None

    def cut_one(value: Any) -> Any:
        values = list(read(value)) if read else [getattr(value, name) for name in names]
        for index, turner in turned:
            values[index] = _turned(values[index], turner)
        return target(*values)

    return cut_one


@cache
def _positional(struct: type[Struct]) -> type[Struct]:
    """A struct that looks the same in JSON, and takes its values in order: that is much faster."""
    fields = [(each.name, each.type, field(name=each.encode_name))
              for each in msgspec.structs.fields(struct)]  # fmt: skip
    config = struct.__struct_config__
    return msgspec.defstruct(
        struct.__name__, fields, gc=False, tag=config.tag, tag_field=config.tag_field
    )


def _widener(struct: type[Struct], version: Version) -> Turner:
    """Adds what the client's version does not know, as not given."""
    hints = _hints(struct)
    fields = [(each.name, _turner(hints[each.name], version, widens=True), each.required)
              for each in msgspec.structs.fields(struct)]  # fmt: skip

    def widen_one(value: Any) -> Any:
        given: dict[str, Any] = {}
        for name, turner, is_required in fields:
            found = getattr(value, name, _MISSING)
            if found is not _MISSING:
                given[name] = _turned(found, turner)
            elif is_required:
                given[name] = UNSET
        return struct(**given)

    return widen_one


_MISSING = object()


def _bare(hint: Any) -> Any:
    """A hint as `at` gives it when nothing in it changes: without marks of ours."""
    if get_origin(hint) is not Annotated:
        return hint
    inner = get_args(hint)[0]
    kept = [mark for mark in hint.__metadata__ if not isinstance(mark, Window | Named)]
    return Annotated[(inner, *kept)] if kept else inner


def _is_of(value: Any, hint: Any) -> bool:
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and isinstance(value, kind)


@cache
def _hints(struct: type[Struct]) -> dict[str, Any]:
    return get_type_hints(struct, include_extras=True)


def _renames(struct: type[Struct]) -> bool:
    return any(
        isinstance(mark, Named)
        for hint in _hints(struct).values()
        for mark in getattr(hint, "__metadata__", ())
    )


def _collect_edges(shape: Any, found: set[Version], seen: set[Any]) -> None:
    if isinstance(shape, type) and issubclass(shape, Struct):
        if shape in seen:
            return
        seen.add(shape)
        for hint in _hints(shape).values():
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
    names = _declared(shape) - {extra}
    known = {key: value for key, value in given.items() if key in names}
    known[extra] = {key: value for key, value in given.items() if key not in names}
    return known


@cache
def _declared(shape: type[Struct]) -> frozenset[str]:
    return frozenset(each.encode_name for each in msgspec.structs.fields(shape))
