"""Contracts: the Protocol of a driver says what may be asked of it, and how that travels."""

from collections.abc import Iterator, Mapping
from functools import cache
from inspect import Parameter, Signature, iscoroutinefunction, signature
from typing import Any, get_type_hints

import msgspec

METHODS_MAX = 25


class ContractError(TypeError):
    """A Protocol cannot be a contract; the text lists why."""


class ContractBroken(Exception):
    """A method, an argument or a result is not what the contract says."""


class Method(msgspec.Struct, frozen=True):
    """One method of a contract: how its arguments and its result travel."""

    name: str
    signature: Signature
    arguments: type[msgspec.Struct]
    result: Any

    def encode(self, arguments: Mapping[str, Any]) -> bytes:
        """Arguments by name; those left at their default stay at home, so that a peer of an
        older release understands a call that does not use what is new."""
        return msgspec.json.encode(self.arguments(**arguments))

    def decode(self, payload: bytes) -> Any:
        """The result out of an answer."""
        try:
            return msgspec.json.decode(payload, type=self.result)
        except msgspec.DecodeError as error:
            raise ContractBroken(f"the result of {self.name}: {error}") from None

    def run(self, peer: Any, payload: bytes) -> bytes:
        """Carry a call out on the peer."""
        try:
            arguments = msgspec.json.decode(payload, type=self.arguments)
        except msgspec.DecodeError as error:
            raise ContractBroken(f"the arguments of {self.name}: {error}") from None
        given = {name: getattr(arguments, name) for name in arguments.__struct_fields__}
        return msgspec.json.encode(getattr(peer, self.name)(**given))


class Contract(msgspec.Struct, frozen=True):
    """What may be asked of a peer: the methods of a Protocol."""

    name: str
    methods: Mapping[str, Method]

    def method(self, name: str) -> Method:
        found = self.methods.get(name)
        if found is None:
            raise ContractBroken(f"{self.name} has no method {name[:100]!r}")
        return found


def contract(protocol: object) -> Contract:
    """The contract that a Protocol states; whatever keeps it from being one is raised."""
    if not isinstance(protocol, type):
        raise ContractError(f"{protocol!r} is no Protocol")
    return _read(protocol)


@cache
def _read(protocol: type) -> Contract:
    names = [name for name in dir(protocol) if not name.startswith("_")]
    problems: list[str] = []
    methods: dict[str, Method] = {}
    if not 1 <= len(names) <= METHODS_MAX:
        problems.append(f"it has {len(names)} methods; 1 to {METHODS_MAX} are allowed")
    for name in names:
        try:
            methods[name] = _method(protocol.__name__, name, getattr(protocol, name))
        except (TypeError, NameError) as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise ContractError(f"{protocol.__name__} is no contract: {'; '.join(problems)}")
    return Contract(protocol.__name__, methods)


def _method(owner: str, name: str, function: Any) -> Method:
    if not callable(function) or iscoroutinefunction(function):
        raise TypeError("is not a plain method")
    hints = get_type_hints(function, include_extras=True)
    called = signature(function)
    parameters = list(called.parameters.values())[1:]
    if "return" not in hints:
        raise TypeError("its result has no type")
    fields: list[Any] = []
    for parameter in parameters:
        if parameter.kind not in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY):
            raise TypeError(f"{parameter} cannot travel by name")
        if parameter.name not in hints:
            raise TypeError(f"{parameter.name} has no type")
        default = () if parameter.default is Parameter.empty else (parameter.default,)
        fields.append((parameter.name, hints[parameter.name], *default))
    for hint in hints.values():
        for foreign in _foreign(msgspec.inspect.type_info(hint), set()):
            raise TypeError(f"{foreign.__qualname__} cannot travel")
    arguments = msgspec.defstruct(
        f"{owner}_{name}", fields, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
    )
    msgspec.json.Decoder(arguments)
    msgspec.json.Decoder(hints["return"])
    called = called.replace(parameters=parameters)
    return Method(name, called, arguments, hints["return"])


def _foreign(node: Any, seen: set[int]) -> Iterator[type]:
    """The classes within a type that msgspec does not know."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, msgspec.inspect.CustomType):
        yield node.cls
    elif isinstance(node, msgspec.Struct):
        for name in node.__struct_fields__:
            yield from _foreign(getattr(node, name), seen)
    elif isinstance(node, tuple):
        for each in node:
            yield from _foreign(each, seen)
