"""Routes: which operation answers a path."""

from collections.abc import Sequence
from functools import cache
from re import Pattern, escape
from re import compile as compiled

from onestack.core.api import Operation, Service

ByMethod = dict[str, Operation]


class _Node:
    __slots__ = ("by_method", "children", "parameter", "service")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.by_method: ByMethod = {}
        self.service: Service | None = None


class Routes:
    """The paths of all services as a tree of segments; a literal segment wins over a parameter."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._root = _Node()
        for service in services:
            self._node(service.root).service = service
            for operation in service.operations:
                by_method = self._node(service.root + operation.path).by_method
                if operation.method in by_method:
                    raise ValueError(f"two operations for {operation.method} {operation.path}")
                by_method[operation.method] = operation

    def find(self, path: str) -> tuple[Service | None, ByMethod, dict[str, str]]:
        """The service that owns a path, the operations there, and the path's parameters."""
        segments = _segments(path)
        service, node = self._root.service, self._root
        for segment in segments:
            following = node.children.get(segment)
            if following is None:
                break
            node = following
            service = node.service or service
        values: list[str] = []
        found = _descend(self._root, segments, 0, values)
        if found is None:
            return service, {}, {}
        names = next(iter(found.by_method.values())).parameter_names
        return service, found.by_method, dict(zip(names, values, strict=True))

    def _node(self, path: str) -> _Node:
        node = self._root
        for segment in _segments(path):
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        return node


def _segments(path: str) -> list[str]:
    trimmed = path.strip("/")
    return trimmed.split("/") if trimmed else []


def _descend(node: _Node, segments: list[str], index: int, values: list[str]) -> _Node | None:
    if index == len(segments):
        return node if node.by_method else None
    literal = node.children.get(segments[index])
    if literal is not None:
        found = _descend(literal, segments, index + 1, values)
        if found is not None:
            return found
    if node.parameter is not None and segments[index]:
        values.append(segments[index])
        found = _descend(node.parameter, segments, index + 1, values)
        if found is not None:
            return found
        values.pop()
    return None


def path_matches(pattern: str, path: str) -> bool:
    """Whether a path fits an access rule: `*` is one segment, `**` any, `{name}` one segment."""
    return _pattern(pattern).fullmatch(path) is not None


@cache
def _pattern(text: str) -> Pattern[str]:
    parts = []
    for segment in text.split("/"):
        if segment == "**":
            parts.append(".*")
        elif segment == "*" or (segment.startswith("{") and segment.endswith("}")):
            parts.append("[^/]+")
        else:
            parts.append("[^/]*".join(escape(piece) for piece in segment.split("*")))
    return compiled("/".join(parts))
