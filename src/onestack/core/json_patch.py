"""JSON Patch (RFC 6902) over JSON Pointer (RFC 6901), and the dialects of the image service."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

Json = Any
Pointer = tuple[str, ...]

MISSING: Any = object()
SOURCED = frozenset(("move", "copy"))
VALUED = frozenset(("add", "replace", "test"))
OPERATIONS = VALUED | SOURCED | {"remove"}
IMAGE_OPERATIONS = frozenset(("add", "replace", "remove"))

_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_BAD_ESCAPE = re.compile(r"~(?![01])")


class Limits(msgspec.Struct, frozen=True):
    """How much one patch may do."""

    operations: int = 1000
    depth: int = 32  # of pointers and of values
    characters: int = 1 << 20  # of all that is put into the document, roughly as JSON counts


USUAL = Limits()


class Change(msgspec.Struct, frozen=True):
    """One operation of a patch."""

    op: str
    path: Pointer
    value: Json = MISSING
    source: Pointer = ()


class PatchError(ValueError):
    """A patch that cannot be read or applied; the text says why."""


class MalformedPatch(PatchError):
    """It is not a patch."""


class PatchTooLarge(PatchError):
    """It asks for more than the limits allow."""


class PathNotFound(PatchError):
    """It names a place that is not there."""


class TestFailed(PatchError):
    """A value is not what the patch expects it to be."""

    __test__ = False


def pointer(text: object) -> Pointer:
    """The steps of a JSON pointer."""
    if not isinstance(text, str):
        raise MalformedPatch(f"A path must be a string, not {_kind(text)}.")
    if not text:
        return ()
    if not text.startswith("/"):
        raise MalformedPatch(f"The path {_short(text)} does not begin with a slash.")
    if _BAD_ESCAPE.search(text):
        raise MalformedPatch(f"In the path {_short(text)} a ~ is followed by neither 0 nor 1.")
    steps = text[1:].split("/")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)


def written(steps: Sequence[str]) -> str:
    """Steps as a JSON pointer."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def resolve(document: Json, steps: Sequence[str]) -> Json:
    """What stands at a pointer."""
    for position, step in enumerate(steps):
        if isinstance(document, dict):
            if step not in document:
                raise _not_found(steps[: position + 1])
            document = document[step]
        elif isinstance(document, list):
            document = document[_index(document, step, steps[: position + 1])]
        else:
            raise _not_found(steps[: position + 1])
    return document


def read(patch: Json, limits: Limits = USUAL) -> list[Change]:
    """The operations of a JSON patch (RFC 6902)."""
    return [_read_change(each, OPERATIONS, limits) for each in _items(patch, limits)]


def read_image_patch(patch: Json, limits: Limits = USUAL) -> list[Change]:
    """The operations of an `application/openstack-images-v2.1-json-patch`."""
    changes = [_read_change(each, IMAGE_OPERATIONS, limits) for each in _items(patch, limits)]
    return [_named(change) for change in changes]


def read_first_image_patch(patch: Json, limits: Limits = USUAL) -> list[Change]:
    """The operations of an `application/openstack-images-v2.0-json-patch`."""
    changes = []
    for each in _items(patch, limits):
        verbs = sorted(IMAGE_OPERATIONS & each.keys())
        if len(verbs) != 1:
            raise MalformedPatch(
                "Each operation must have exactly one of the members add, replace and remove."
            )
        rewritten = {"op": verbs[0], "path": each[verbs[0]]}
        if "value" in each:
            rewritten["value"] = each["value"]
        changes.append(_named(_read_change(rewritten, IMAGE_OPERATIONS, limits)))
    return changes


def apply(document: Json, changes: Sequence[Change], limits: Limits = USUAL) -> Json:
    """The document after all changes; the one that is given stays as it is."""
    document = _copy(document)
    room = limits.characters
    for change in changes:
        if change.op in SOURCED:
            weight = weigh(resolve(document, change.source), limits)
            room -= weight if change.op == "copy" else 0
        elif change.op in ("add", "replace"):
            room -= weigh(change.value, limits)
        if room < 0:
            raise PatchTooLarge(f"A patch may add {limits.characters} characters at most.")
        document = _APPLY[change.op](document, change)
    return document


def equal(left: Json, right: Json) -> bool:
    """Whether two values are the same JSON: numbers by value, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right)


def weigh(value: Json, limits: Limits) -> int:
    """About how many characters of JSON a value is."""
    weight = 0
    level: list[Json] = [value]
    for _ in range(limits.depth):
        below: list[Json] = []
        for each in level:
            weight += 2
            if isinstance(each, str):
                weight += len(each)
            elif isinstance(each, dict):
                weight += sum(map(len, each))
                below += each.values()
            elif isinstance(each, list):
                below += each
        if not below:
            return weight
        level = below
    raise PatchTooLarge(f"A value may be nested {limits.depth} levels deep at most.")


def _items(patch: Json, limits: Limits) -> list[Mapping[str, Json]]:
    if not isinstance(patch, list):
        raise MalformedPatch(f"A patch must be a list of operations, not {_kind(patch)}.")
    if len(patch) > limits.operations:
        raise PatchTooLarge(f"A patch may have {limits.operations} operations at most.")
    for each in patch:
        if not isinstance(each, dict):
            raise MalformedPatch(f"An operation must be an object, not {_kind(each)}.")
    return patch


def _read_change(item: Mapping[str, Json], known: frozenset[str], limits: Limits) -> Change:
    for name in ("op", "path"):
        if name not in item:
            raise MalformedPatch(f"An operation has no member {name}.")
    op = item["op"]
    if not isinstance(op, str) or op not in known:
        raise MalformedPatch(f"{_short(op)} is no operation; there are {', '.join(sorted(known))}.")
    if op in VALUED and "value" not in item:
        raise MalformedPatch(f"The operation {op} has no member value.")
    if op in SOURCED and "from" not in item:
        raise MalformedPatch(f"The operation {op} has no member from.")
    path = pointer(item["path"])
    source = pointer(item["from"]) if op in SOURCED else ()
    if max(len(path), len(source)) > limits.depth:
        raise PatchTooLarge(f"A path may have {limits.depth} steps at most.")
    if op == "move" and len(source) < len(path) and path[: len(source)] == source:
        raise MalformedPatch("Nothing can be moved into itself.")
    return Change(op, path, item["value"] if op in VALUED else MISSING, source)


def _named(change: Change) -> Change:
    """Image patches name an attribute: no step of a path may be empty."""
    if not change.path or any(not step.strip() for step in change.path):
        raise MalformedPatch(f"The path {_short(written(change.path))} has an empty step.")
    return change


def _add(document: Json, change: Change) -> Json:
    if not change.path:
        return _copy(change.value)
    holder, last = resolve(document, change.path[:-1]), change.path[-1]
    if isinstance(holder, dict):
        holder[last] = _copy(change.value)
    elif isinstance(holder, list):
        index = len(holder) if last == "-" else _index([*holder, None], last, change.path)
        holder.insert(index, _copy(change.value))
    else:
        raise _not_found(change.path)
    return document


def _remove(document: Json, change: Change) -> Json:
    resolve(document, change.path)
    if not change.path:
        raise MalformedPatch("The whole document cannot be removed.")
    holder, last = resolve(document, change.path[:-1]), change.path[-1]
    del holder[int(last) if isinstance(holder, list) else last]
    return document


def _replace(document: Json, change: Change) -> Json:
    resolve(document, change.path)
    if not change.path:
        return _copy(change.value)
    holder, last = resolve(document, change.path[:-1]), change.path[-1]
    holder[int(last) if isinstance(holder, list) else last] = _copy(change.value)
    return document


def _move(document: Json, change: Change) -> Json:
    value = resolve(document, change.source)
    if change.source == change.path:
        return document
    document = _remove(document, Change("remove", change.source))
    return _add(document, Change("add", change.path, value))


def _copy_within(document: Json, change: Change) -> Json:
    return _add(document, Change("add", change.path, resolve(document, change.source)))


def _test(document: Json, change: Change) -> Json:
    if not equal(resolve(document, change.path), change.value):
        raise TestFailed(f"The value at {_short(written(change.path))} is another one.")
    return document


_APPLY: dict[str, Callable[[Json, Change], Json]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy_within,
    "test": _test,
}


def _index(items: list[Json], step: str, place: Sequence[str]) -> int:
    if _INDEX.fullmatch(step) is None:
        raise _not_found(place)
    index = int(step)
    if index >= len(items):
        raise _not_found(place)
    return index


def _copy(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _copy(each) for key, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list) else value


def _not_found(steps: Sequence[str]) -> PathNotFound:
    return PathNotFound(f"There is nothing at {_short(written(steps))}.")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")
