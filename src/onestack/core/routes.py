"""Routes: which operation answers a path."""

from collections.abc import Sequence

from onestack.core.api import Actions, Operation, Service

ByMethod = dict[str, Operation | Actions]

PROJECT = "the caller's project"  # no handler's parameter can be called so
STEPS_MAX = 10_000  # of matching one path to one access rule


class _Node:
    __slots__ = ("by_method", "children", "names", "parameter", "rest", "service", "takes_rest")

    def __init__(self, takes_rest: bool = False) -> None:
        self.takes_rest = takes_rest
        self.children: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.rest: _Node | None = None
        self.by_method: ByMethod = {}
        self.names: tuple[str, ...] = ()
        self.service: Service | None = None


class Routes:
    """The paths of all services as a tree of segments; a literal segment wins over a parameter.

    A path's last parameter, written `{name*}`, takes all that is left of a path. Where a service
    lets clients name their project in the path, that is the parameter `PROJECT`.
    """

    def __init__(self, services: Sequence[Service]) -> None:
        self._root = _Node()
        self._plain: dict[str, tuple[Service | None, ByMethod]] = {}  # paths without parameters
        for service in services:
            self._node(service.root).service = service
            for operation in service.operations:
                self._lead(service.root + operation.path, operation, operation.parameter_names)
                under = service.project_under
                if under is not None and operation.path.startswith(f"{under}/"):
                    path = f"{service.root}{under}/{{}}{operation.path.removeprefix(under)}"
                    self._lead(path, operation, (PROJECT, *operation.parameter_names))

        for service in services:
            for path in {service.root + each.path for each in service.operations}:
                if "{" not in path:
                    self._plain[path] = self._search(path)[:2]

    def find(self, path: str) -> tuple[Service | None, ByMethod, dict[str, str]]:
        """The service that owns a path, the operations there, and the path's parameters."""
        known = self._plain.get(path)
        return self._search(path) if known is None else (*known, {})

    def _search(self, path: str) -> tuple[Service | None, ByMethod, dict[str, str]]:
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
        if service is not None and not found.takes_rest and _lacks_name(service, path):
            return service, {}, {}
        return service, found.by_method, dict(zip(found.names, values, strict=True))

    def _lead(self, path: str, operation: Operation, names: tuple[str, ...]) -> None:
        node = self._node(path)
        is_first = not node.by_method
        _add(node.by_method, operation)
        if not is_first and node.names != names:
            raise ValueError(f"other parameters in {path}: {node.names} and {names}")
        node.names = names

    def _node(self, path: str) -> _Node:
        node = self._root
        for segment in _segments(path):
            if segment.endswith("*}"):
                node.rest = node.rest or _Node(takes_rest=True)
                node = node.rest
            elif segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        return node


def _add(by_method: ByMethod, operation: Operation) -> None:
    known = by_method.get(operation.method)
    if operation.action is None:
        if known is not None:
            raise ValueError(f"two operations for {operation.method} {operation.path}")
        by_method[operation.method] = operation
        return
    actions = known or Actions(operation)
    if not isinstance(actions, Actions):
        raise ValueError(f"{operation.method} {operation.path} is no path of actions")
    actions.add(operation)
    by_method[operation.method] = actions


def _lacks_name(service: Service, path: str) -> bool:
    """Whether a path ends where a name should be, for a service that makes a difference of it; the
    service itself and its versions are also called with a slash at the end."""
    if service.takes_last_slash or not path.endswith("/"):
        return False
    return len(_segments(path)) > len(_segments(service.root)) + 1


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
    if node.rest is not None:
        values.append("/".join(segments[index:]))
        return node.rest
    return None


def path_matches(pattern: str, path: str) -> bool:
    """Whether a path fits an access rule: `*` is one segment, `**` any, `{name}` one segment.

    The patterns are users' own, and there are up to a hundred: a regular expression could take
    years over one, so this walks, and a path that takes too many steps fits nothing.
    """
    wanted, given = pattern.split("/"), path.split("/")
    at = index = 0
    after, resume = -1, 0  # behind the last `**`, and behind the segments that it took
    for _ in range(STEPS_MAX):
        if index == len(given):
            return at == len(wanted)
        if at < len(wanted) and wanted[at] == "**":
            at, index = at + 1, index + 1
            after, resume = at, index
        elif at < len(wanted) and _segment_matches(wanted[at], given[index]):
            at, index = at + 1, index + 1
        elif after >= 0:
            resume += 1
            at, index = after, resume
        else:
            return False
    return False


def _segment_matches(pattern: str, segment: str) -> bool:
    if pattern == "*" or (pattern.startswith("{") and pattern.endswith("}")):
        return segment != ""
    first, *pieces = pattern.split("*")
    if not pieces:
        return segment == pattern
    last = pieces.pop()
    position, end = len(first), len(segment) - len(last)
    if position > end or not (segment.startswith(first) and segment.endswith(last)):
        return False
    for piece in pieces:
        position = segment.find(piece, position, end)
        if position < 0:
            return False
        position += len(piece)
    return True
