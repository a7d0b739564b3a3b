"""Simulated drivers as agents of a scenario: asked in the words of their contract."""

from collections.abc import Callable
from typing import Any

import msgspec

from onestack.core import fence
from onestack.core.contract import contract


class Served:
    """A driver behind its contract: what it is given, and what it answers, travels as JSON; and
    behind the gate that an agent's bus has, which lets no order in that comes too late."""

    def __init__(self, driver: Any, protocol: object) -> None:
        self.driver, self._contract = driver, contract(protocol)
        self._gate = fence.Gate()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = self._contract.method(name)

        def call(**arguments: Any) -> Any:
            order = fence.current.get()
            assert order is not None, "a call without a fence"
            with self._gate.enter(order):
                return msgspec.json.decode(method.run(self.driver, msgspec.json.encode(arguments)))

        return call
