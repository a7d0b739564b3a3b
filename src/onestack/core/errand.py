"""Errands: what a flow waits for, and how its row keeps it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from onestack.core.context import Cloud
from onestack.core.flow import Ask, Child, Compute, Flow
from onestack.core.seal import Seal

PURPOSE = "errands"


class Errand(msgspec.Struct, omit_defaults=True):
    """An agent's method, a function of the flow's own, or a child."""

    then: str
    otherwise: str | None = None
    agent: str | None = None
    method: str | None = None
    arguments: dict[str, Any] = {}
    is_secret: bool = False
    sealed: str | None = None  # in a row: the arguments, where they are secret
    timeout_s: float = 0.0
    child: str | None = None

    @classmethod
    def of(cls, flow: Flow[Any], what: Ask | Compute | Child) -> "Errand":
        """What a step of a flow returned."""
        otherwise = None if what.otherwise is None else flow.name_of(what.otherwise)
        errand = cls(flow.name_of(what.then), otherwise)
        if isinstance(what, Child):
            return errand
        errand.arguments = msgspec.to_builtins(dict(what.arguments))
        if isinstance(what, Compute):
            errand.method = what.function.__name__
            return errand
        errand.agent, errand.timeout_s = what.agent, what.timeout_s
        errand.is_secret = what.is_secret
        errand.method = what.method if isinstance(what.method, str) else what.method.__qualname__
        return errand

    def to_row(self, cloud: Cloud) -> dict[str, Any]:
        kept = self
        if self.is_secret:
            sealed = _seal(cloud).close(msgspec.json.encode(self.arguments))
            kept = msgspec.structs.replace(self, arguments={}, sealed=sealed)
        return msgspec.to_builtins(kept)  # type: ignore[no-any-return]

    @classmethod
    def from_row(cls, kept: Mapping[str, Any], cloud: Cloud) -> "Errand":
        errand = msgspec.convert(kept, cls)
        if errand.sealed is not None:
            errand.arguments = msgspec.json.decode(_seal(cloud).open(errand.sealed))
            errand.sealed = None
        return errand


def _seal(cloud: Cloud) -> Seal:
    return cloud.get(Seal).derive(PURPOSE)
