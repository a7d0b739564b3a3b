"""JSON patches: every operation, every way to be wrong, and the limits."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onestack.core.json_patch import (
    Change,
    Limits,
    MalformedPatch,
    PatchError,
    PatchTooLarge,
    PathNotFound,
    TestFailed,
    apply,
    equal,
    pointer,
    read,
    read_first_image_patch,
    read_image_patch,
    resolve,
    written,
)

DOCUMENT = {
    "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6,
    " ": 7, "m~n": 8,
}  # fmt: skip

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def patched(document: Any, *operations: dict[str, Any]) -> Any:
    before = copy.deepcopy(document)
    result = apply(document, read(list(operations)))
    assert equal(document, before)
    return result


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", DOCUMENT), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1),
        ("/c%d", 2), ("/e^f", 3), ("/g|h", 4), ("/i\\j", 5), ('/k"l', 6), ("/ ", 7), ("/m~0n", 8),
    ],
)  # fmt: skip
def test_pointers_find_what_the_standard_says(text: str, expected: Any) -> None:
    assert resolve(DOCUMENT, pointer(text)) == expected
    assert written(pointer(text)) == text


def test_escapes_are_undone_once() -> None:
    assert pointer("/~01") == ("~1",)


@pytest.mark.parametrize("text", ["foo", "/a~", "/a~2", "/~~0", 5, None, ["a"]])
def test_bad_pointers_are_refused(text: Any) -> None:
    with pytest.raises(MalformedPatch):
        pointer(text)


@pytest.mark.parametrize(
    "text",
    ["/nope", "/foo/2", "/foo/-", "/foo/01", "/foo/+1", "/foo/٣", "/foo/-1", "/foo/0/x", "/foo/",
     f"/foo/{'9' * 5000}"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(text: str) -> None:
    with pytest.raises(PathNotFound):
        resolve(DOCUMENT, pointer(text))


@pytest.mark.parametrize(
    ("document", "operation", "expected"),
    [
        ({"a": 1}, {"op": "add", "path": "/b", "value": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"op": "add", "path": "/a", "value": None}, {"a": None}),
        ({"a": [1, 3]}, {"op": "add", "path": "/a/1", "value": 2}, {"a": [1, 2, 3]}),
        ({"a": [1]}, {"op": "add", "path": "/a/1", "value": 2}, {"a": [1, 2]}),
        ({"a": [1]}, {"op": "add", "path": "/a/-", "value": [2]}, {"a": [1, [2]]}),
        ({"a": 1}, {"op": "add", "path": "", "value": []}, []),
        ({"a": 1, "b": 2}, {"op": "remove", "path": "/a"}, {"b": 2}),
        ([1, 2, 3], {"op": "remove", "path": "/1"}, [1, 3]),
        ({"a": 1}, {"op": "replace", "path": "/a", "value": {}}, {"a": {}}),
        ([1, 2], {"op": "replace", "path": "/0", "value": 9}, [9, 2]),
        ({"a": 1}, {"op": "replace", "path": "", "value": 5}, 5),
        ({"a": {"b": 1}}, {"op": "move", "from": "/a/b", "path": "/c"}, {"a": {}, "c": 1}),
        ([1, 2, 3], {"op": "move", "from": "/0", "path": "/2"}, [2, 3, 1]),
        ({"a": 1}, {"op": "move", "from": "/a", "path": "/a"}, {"a": 1}),
        ({"a": {"b": 1}}, {"op": "move", "from": "/a/b", "path": "/a"}, {"a": 1}),
        ({"a": [1]}, {"op": "copy", "from": "/a", "path": "/b"}, {"a": [1], "b": [1]}),
        ({"a": [1]}, {"op": "copy", "from": "", "path": "/b"}, {"a": [1], "b": {"a": [1]}}),
        ({"a": [1, {"b": 1.0}]}, {"op": "test", "path": "/a", "value": [1, {"b": 1}]},
         {"a": [1, {"b": 1}]}),
        ({"a": 1}, {"op": "add", "path": "/b", "value": 2, "other": "ignored"}, {"a": 1, "b": 2}),
    ],
)  # fmt: skip
def test_every_operation(document: Any, operation: dict[str, Any], expected: Any) -> None:
    assert equal(patched(document, operation), expected)


def test_operations_follow_one_another_and_share_nothing() -> None:
    value: dict[str, Any] = {"x": []}
    changes = read([
        {"op": "add", "path": "/a", "value": value},
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/b/x/-", "value": 1},
    ])  # fmt: skip
    for _ in range(2):
        assert apply({}, changes) == {"a": {"x": []}, "b": {"x": [1]}}
    assert value == {"x": []}


@pytest.mark.parametrize(
    ("document", "operation", "error"),
    [
        ({}, {"op": "remove", "path": "/a"}, PathNotFound),
        ({}, {"op": "remove", "path": ""}, MalformedPatch),
        ({}, {"op": "replace", "path": "/a", "value": 1}, PathNotFound),
        ({}, {"op": "add", "path": "/a/b", "value": 1}, PathNotFound),
        ({"a": "text"}, {"op": "add", "path": "/a/0", "value": 1}, PathNotFound),
        ([], {"op": "add", "path": "/1", "value": 1}, PathNotFound),
        ([1], {"op": "replace", "path": "/-", "value": 1}, PathNotFound),
        ({}, {"op": "copy", "from": "/a", "path": "/b"}, PathNotFound),
        ({}, {"op": "move", "from": "/a", "path": "/a"}, PathNotFound),
        ({"a": 1}, {"op": "test", "path": "/a", "value": True}, TestFailed),
        ({"a": 0}, {"op": "test", "path": "/a", "value": False}, TestFailed),
        ({"a": "1"}, {"op": "test", "path": "/a", "value": 1}, TestFailed),
        ({"a": {"b": 1}}, {"op": "test", "path": "/a", "value": {}}, TestFailed),
        ({}, {"op": "test", "path": "/a", "value": None}, PathNotFound),
    ],
)  # fmt: skip
def test_what_cannot_be_applied_is_refused(
    document: Any, operation: dict[str, Any], error: type[PatchError]
) -> None:
    with pytest.raises(error) as refusal:
        patched(document, operation)
    assert isinstance(refusal.value, ValueError)
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize(
    "patch",
    [
        {}, None, "x", 5, [[]], [None], [{}], [{"op": "add"}], [{"path": "/a"}],
        [{"op": "add", "path": "/a"}], [{"op": "replace", "path": "/a"}],
        [{"op": "test", "path": "/a"}], [{"op": "move", "path": "/a"}],
        [{"op": "copy", "path": "/a"}], [{"op": "spam", "path": "/a"}],
        [{"op": ["add"], "path": "/a", "value": 1}], [{"op": None, "path": "/a"}],
        [{"op": "add", "path": 5, "value": 1}], [{"op": "add", "path": "a", "value": 1}],
        [{"op": "move", "from": "/a", "path": "/a/b"}], [{"op": "move", "from": "", "path": "/a"}],
    ],
)  # fmt: skip
def test_what_is_no_patch_is_refused(patch: Any) -> None:
    with pytest.raises(MalformedPatch):
        read(patch)


def test_a_patch_has_limits() -> None:
    limits = Limits(operations=3, depth=4, characters=100)
    remove = {"op": "remove", "path": "/a"}
    assert len(read([remove] * 3, limits)) == 3
    with pytest.raises(PatchTooLarge):
        read([remove] * 4, limits)
    with pytest.raises(PatchTooLarge):
        read([{"op": "remove", "path": "/a/a/a/a/a"}], limits)
    deep = [Change("add", ("a",), [[[[[]]]]])]
    with pytest.raises(PatchTooLarge):
        apply({}, deep, limits)
    for value in ("x" * 100, ["x" * 20] * 5, {"x" * 100: 1}, [0] * 100):
        with pytest.raises(PatchTooLarge):
            apply({}, [Change("add", ("a",), value)], limits)


def test_copies_of_copies_do_not_explode() -> None:
    copies = [{"op": "copy", "from": "", "path": f"/{n}"} for n in range(100)]
    with pytest.raises(PatchTooLarge):
        patched({"a": "x"}, *copies)


def test_moves_do_not_pile_up_depth() -> None:
    turn = (
        {"op": "add", "path": "/b", "value": [[[[]]]]},
        {"op": "move", "from": "/a", "path": "/b/0/0/0/0"},
        {"op": "move", "from": "/b", "path": "/a"},
    )
    with pytest.raises(PatchTooLarge):
        patched({"a": []}, *turn * 40)


def test_a_deeply_nested_value_is_refused_without_recursion() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(PatchTooLarge):
        apply({}, [Change("add", ("a",), value)])


@settings(max_examples=200, deadline=None)
@given(json_values, json_values)
def test_what_is_put_somewhere_is_found_there(document: Any, value: Any) -> None:
    holder = {"old": document}
    put = patched(holder, {"op": "add", "path": "/new", "value": value})
    assert equal(put["new"], value)
    taken = patched(put, {"op": "test", "path": "/new", "value": value},
                    {"op": "remove", "path": "/new"})  # fmt: skip
    assert equal(taken, holder)


def test_image_patches_of_both_dialects_are_read() -> None:
    newer = read_image_patch([
        {"op": "replace", "path": "/name", "value": "x"},
        {"op": "add", "path": "/a~1b", "value": None},
        {"op": "remove", "path": "/c", "value": "ignored"},
    ])  # fmt: skip
    older = read_first_image_patch([
        {"replace": "/name", "value": "x"},
        {"add": "/a~1b", "value": None},
        {"remove": "/c"},
    ])  # fmt: skip
    assert newer == older
    assert apply({"name": "y", "c": 1}, newer) == {"name": "x", "a/b": None}


@pytest.mark.parametrize("op", ["move", "copy", "test"])
def test_image_patches_know_three_operations(op: str) -> None:
    item = {"op": op, "path": "/a", "from": "/b", "value": 1}
    with pytest.raises(MalformedPatch, match="add, remove, replace"):
        read_image_patch([item])


@pytest.mark.parametrize("path", ["", "/", "//", "/a//b", "/a/", "/ /a", "a", "/a~"])
def test_image_patches_name_something(path: str) -> None:
    with pytest.raises(MalformedPatch):
        read_image_patch([{"op": "remove", "path": path}])
    with pytest.raises(MalformedPatch):
        read_first_image_patch([{"remove": path}])


@pytest.mark.parametrize(
    "item",
    [{}, {"add": "/a", "remove": "/a", "value": 1}, {"op": "remove", "path": "/a"},
     {"replace": "/a"}, {"add": 5, "value": 1}, {"move": "/a"}],
)  # fmt: skip
def test_older_image_patches_are_judged_too(item: dict[str, Any]) -> None:
    with pytest.raises(MalformedPatch):
        read_first_image_patch([item])
