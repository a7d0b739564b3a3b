"""What a Protocol must be to be a contract, and how calls are encoded."""

import datetime as dt
from typing import Annotated, Any, Protocol

import msgspec
import pytest

from onestack.core.contract import METHODS_MAX, ContractBroken, ContractError, contract


class Guest(msgspec.Struct):
    name: str
    memory_mb: int
    disks: list[str] = []
    parent: "Guest | None" = None


class Plug(Protocol):
    def attach(self, guest: Guest, port: str, *, mtu: int = 1500) -> dt.datetime: ...
    def names(self, limit: Annotated[int, msgspec.Meta(le=100)]) -> list[str]: ...
    def forget(self, name: str) -> None: ...


class Foreign:
    pass


class TakesForeign(Protocol):
    def run(self, what: list[Foreign]) -> None: ...


class NoArgumentType(Protocol):
    def run(self, what) -> None: ...  # type: ignore[no-untyped-def]


class NoResultType(Protocol):
    def run(self, what: int): ...  # type: ignore[no-untyped-def]


class Spread(Protocol):
    def run(self, *what: int) -> None: ...


class Waits(Protocol):
    async def run(self) -> None: ...


class Holds(Protocol):
    @property
    def size(self) -> int: ...


class Nothing(Protocol):
    pass


def _nothing(self: Any) -> None: ...


def _with_methods(count: int) -> type:
    return type("Many", (), {f"method_{n}": _nothing for n in range(count)})


def test_a_contract_knows_its_methods() -> None:
    agreed = contract(Plug)
    assert agreed.name == "Plug"
    assert sorted(agreed.methods) == ["attach", "forget", "names"]
    assert contract(Plug) is agreed


@pytest.mark.parametrize(
    ("protocol", "reason"),
    [
        (TakesForeign, "Foreign cannot travel"),
        (NoArgumentType, "what has no type"),
        (NoResultType, "result has no type"),
        (Spread, "cannot travel by name"),
        (Waits, "not a plain method"),
        (Holds, "not a plain method"),
        (Nothing, "it has 0 methods"),
        (_with_methods(METHODS_MAX + 1), "it has 26 methods"),
        ("Plug", "is no Protocol"),
    ],
)
def test_what_is_no_contract(protocol: object, reason: str) -> None:
    with pytest.raises(ContractError, match=reason):
        contract(protocol)


def test_as_many_methods_as_allowed() -> None:
    assert len(contract(_with_methods(METHODS_MAX)).methods) == METHODS_MAX


def test_every_problem_is_named_at_once() -> None:
    class Wrong(Protocol):
        def one(self, what: Foreign) -> None: ...
        def two(self, *what: int) -> None: ...

    with pytest.raises(ContractError, match=r"one: .*two: "):
        contract(Wrong)


def test_defaults_stay_at_home() -> None:
    attach = contract(Plug).method("attach")
    guest = Guest("a", 64)
    sent = msgspec.json.decode(attach.encode({"guest": guest, "port": "p", "mtu": 1500}))
    assert sorted(sent) == ["guest", "port"]
    sent = msgspec.json.decode(attach.encode({"guest": guest, "port": "p", "mtu": 9000}))
    assert sent["mtu"] == 9000


@pytest.mark.parametrize(
    "payload",
    [
        b'{"limit": "ten"}',
        b'{"limit": 101}',
        b"{}",
        b"[]",
        b"{",
        b'{"limit": 1, "new": 2}',
        b"\xff",
    ],
)
def test_arguments_are_checked_where_they_arrive(payload: bytes) -> None:
    class Peer:
        def names(self, limit: int) -> list[str]:
            raise AssertionError("called with arguments that break the contract")

    with pytest.raises(ContractBroken, match="arguments of names"):
        contract(Plug).method("names").run(Peer(), payload)


def test_a_result_is_checked_where_it_arrives() -> None:
    with pytest.raises(ContractBroken, match="result of names"):
        contract(Plug).method("names").decode(b'["a", 1]')


def test_unknown_method() -> None:
    with pytest.raises(ContractBroken, match="Plug has no method '__init__'"):
        contract(Plug).method("__init__")
