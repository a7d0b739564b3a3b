"""Operations: a decorated function is the API, and says everything about itself once."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, Generic, Protocol, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from onestack.core.context import Context, Request
from onestack.core.errors import ApiError, BadRequest
from onestack.core.policy import Rule
from onestack.core.shapes import (
    Version,
    Window,
    at,
    cut,
    extras_of,
    gather_extras,
    unless_null,
    widen,
)
from onestack.core.websocket import Handler

V = TypeVar("V")
F = TypeVar("F", bound=Callable[..., Any])
Blocks = Callable[[Context], bool]  # whether one request of an operation needs a thread

PUBLIC = Rule("public", "@", description="Answered without a token.")
JSON = "application/json"
BINARY = "application/octet-stream"
ALWAYS = Window()
TRUE_WORDS = frozenset(("", "1", "true", "t", "yes", "y", "on"))
FALSE_WORDS = frozenset(("0", "false", "f", "no", "n", "off"))


class Page(msgspec.Struct, Generic[V], frozen=True):
    """A list's answer: the items, and where the next page starts when there is one."""

    items: Sequence[V]
    next_marker: str | None = None
    truncated: bool = False


class Reply(msgspec.Struct, frozen=True):
    """An answer that sets its own status or headers."""

    body: Any = None
    status: int | None = None
    headers: Mapping[str, str] = {}
    etag: str | None = None  # sent as it is: quoted, unless the service's clients want it bare


class Raw(msgspec.Struct, frozen=True):
    """An answer that is encoded already."""

    content: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = {}
    etag: str | None = None


class Operation(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One method of one path: everything that is known of it comes from the declaration."""

    method: str
    path: str
    rule: Rule
    handler: Callable[..., Any]
    tag: str
    key: str | None = None
    status: int = 200
    threaded: bool | Blocks = False
    reads: bool = False  # it writes nothing, whatever its method is
    kept: bool | Blocks = True  # whether a GET's answer changes only when its service's rows do
    window: Window = ALWAYS
    streams: bool = False  # it reads its body itself, from `ctx.request.stream`, on a thread
    content_types: tuple[str, ...] = (JSON,)  # of the body; */* takes any
    action: str | None = None  # of those that share a path: the key of the body that means this one

    @property
    def is_public(self) -> bool:
        return self.rule is PUBLIC

    def blocks(self, context: Context) -> bool:
        """Whether this request may wait for something, so that it needs a thread."""
        return self.threaded if isinstance(self.threaded, bool) else self.threaded(context)

    def is_kept(self, context: Context) -> bool:
        """Whether the answer to this request is good until something of the service changes."""
        if self.method != "GET" or self.is_public or self.streams or self.blocks(context):
            return False
        return self.kept if isinstance(self.kept, bool) else self.kept(context)

    @cached_property
    def hints(self) -> dict[str, Any]:
        return get_type_hints(self.handler, include_extras=True)

    @property
    def body_shape(self) -> Any:
        return self.hints.get("body")

    @property
    def query_shape(self) -> Any:
        return self.hints.get("query")

    @cached_property
    def answer_shape(self) -> Any:
        answer = self.hints.get("return")
        return None if answer is type(None) else answer

    @cached_property
    def parameter_names(self) -> tuple[str, ...]:
        return tuple(part[1:-1].rstrip("*") for part in self.path.split("/") if part[:1] == "{")

    def read_body(self, content: bytes, version: Version) -> Any:
        """The request's body as this operation's shape, in the client's version."""
        shape = at(self.body_shape, version)
        try:
            given = msgspec.json.decode(content or b"null")
            key = self.action or self.key
            if key is not None:
                if not isinstance(given, dict) or key not in given:
                    raise BadRequest(f"Expecting to find {key} in the request body.")
                given = given[key]
            extra = extras_of(unless_null(shape))
            if extra is not None and isinstance(given, dict):
                given = gather_extras(unless_null(shape), extra, given)
            return widen(msgspec.convert(given, shape), self.body_shape, version)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise BadRequest(f"Invalid input: {error}") from None
        except RecursionError:
            raise BadRequest("Invalid input: the JSON document is nested too deeply") from None

    def read_query(self, request: Request, version: Version) -> Any:
        """The query string as this operation's shape, in the client's version."""
        shape = at(self.query_shape, version)
        given: dict[str, Any] = {}
        if not request.query_string:
            return widen(_without_query(shape), self.query_shape, version)
        try:
            kinds = _query_kinds(shape)
            for name, values in request.query().items():
                kind = kinds.get(name)
                if kind is list:
                    given[name] = values
                else:
                    given[name] = _flag(values[-1]) if kind is bool else values[-1]
            extra = extras_of(shape)
            if extra is not None:
                given = gather_extras(shape, extra, given)
            return widen(msgspec.convert(given, shape, strict=False), self.query_shape, version)
        except msgspec.ValidationError as error:
            raise BadRequest(f"Invalid input for query parameters: {error}") from None

    def cut(self, value: Any, version: Version) -> Any:
        """An answer of the newest shape, as the client's version knows it."""
        shape = self.answer_shape
        if isinstance(value, Page):
            item = get_args(shape)[0]
            items = [_plain(cut(each, item, version)) for each in value.items]
            return Page(items, value.next_marker, value.truncated)
        if isinstance(value, msgspec.Struct):
            return _plain(cut(value, type(value), version))
        if isinstance(value, list):
            return [self.cut(each, version) for each in value]
        return value


class NoSuchAction(BadRequest):
    message = "There is no such action: {action}"


class Actions:
    """The operations that share a method and a path: the one key of a body says which is meant."""

    def __init__(self, first: Operation) -> None:
        self.path, self.parameter_names = first.path, first.parameter_names
        self.by_name: dict[str, Operation] = {}

    def add(self, operation: Operation) -> None:
        name = str(operation.action)
        if name in self.by_name:
            raise ValueError(f"two operations for the action {name} of {operation.path}")
        self.by_name[name] = operation

    def choose(self, content: bytes) -> Operation:
        """The operation that a body is for."""
        try:
            given = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise BadRequest(f"Malformed request body: {error}") from None
        if len(given) != 1:
            raise BadRequest("Malformed request body: one action is expected")
        (name,) = given
        if name not in self.by_name:
            raise NoSuchAction(action=name[:80])
        return self.by_name[name]


class Operations:
    """A noun's operations, in the order of their declaration."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.declared: list[Operation] = []

    def __call__(  # noqa: PLR0913 - one argument for each thing that a declaration may say
        self, method: str, path: str, rule: Rule, *, key: str | None = None, status: int = 0,
        threaded: bool | Blocks = False,
        reads: bool = False,
        kept: bool | Blocks = True, since: str | None = None, until: str | None = None,
        streams: bool = False, content_types: Sequence[str] = (), action: str | None = None,
    ) -> Callable[[F], F]:  # fmt: skip
        """Declare the decorated function as the operation `method path`."""
        window = Window(
            Version.parse(since) if since else ALWAYS.since,
            Version.parse(until) if until else ALWAYS.until,
        )

        def declare(handler: F) -> F:
            operation = Operation(
                method=method, path=path, rule=rule, handler=handler, tag=self.tag, key=key,
                status=status or (204 if method == "DELETE" else 200), threaded=threaded,
                reads=reads,
                kept=kept,
                window=window, streams=streams,
                content_types=tuple(content_types) or ((BINARY,) if streams else (JSON,)),
                action=action,
            )  # fmt: skip
            self.declared.append(operation)
            return handler

        return declare

    def get(self, path: str, rule: Rule, **options: Any) -> Callable[[F], F]:
        return self("GET", path, rule, **options)

    def post(self, path: str, rule: Rule, **options: Any) -> Callable[[F], F]:
        return self("POST", path, rule, **options)

    def put(self, path: str, rule: Rule, **options: Any) -> Callable[[F], F]:
        return self("PUT", path, rule, **options)

    def patch(self, path: str, rule: Rule, **options: Any) -> Callable[[F], F]:
        return self("PATCH", path, rule, **options)

    def delete(self, path: str, rule: Rule, **options: Any) -> Callable[[F], F]:
        return self("DELETE", path, rule, **options)


class Microversions(msgspec.Struct, frozen=True):
    """How a service negotiates its version."""

    service_type: str
    lowest: Version
    highest: Version
    legacy_header: str | None = None


class Style(Protocol):
    """What a service's answers look like where OpenStack's services differ."""

    def error(self, error: ApiError, request: Request) -> dict[str, Any]: ...
    def page(self, key: str, page: Page[Any], request: Request) -> dict[str, Any]: ...


class Service(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A service's table of contents: where it answers, and its nouns."""

    name: str
    type: str
    title: str
    root: str
    version: str
    nouns: Sequence[Operations]
    style: Style
    microversions: Microversions | None = None
    sockets: Mapping[str, Handler] = {}  # of WebSockets, by their paths
    topic: str | None = None  # the revision that every change of this service's rows bumps
    shared_rules: Mapping[str, str] = {}
    takes_last_slash: bool = True  # whether /things/ is /things, or the thing without a name
    request_id_header: str | None = None  # where old clients look for the id of their request
    project_under: str | None = None  # below this path, clients may name their project first

    @cached_property
    def operations(self) -> list[Operation]:
        return [operation for noun in self.nouns for operation in noun.declared]

    @cached_property
    def rules(self) -> list[Rule]:
        """Every rule that an operation declares, once."""
        found = {op.rule.name: op.rule for op in self.operations if not op.is_public}
        return list(found.values())

    def openapi(self, version: str | None = None) -> dict[str, Any]:
        from onestack.core.openapi import document

        known = self.microversions
        asked = Version.parse(version) if version else None
        if known is None:
            return document(self, ALWAYS.until)
        asked = asked or known.highest
        if not known.lowest <= asked <= known.highest:
            raise ValueError(f"Version {asked} is not between {known.lowest} and {known.highest}")
        return document(self, asked)


def _without_query(shape: Any) -> Any:
    try:
        return msgspec.convert({}, shape)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input for query parameters: {error}") from None


@cache
def _query_kinds(shape: Any) -> dict[str, type]:
    kinds: dict[str, type] = {}
    for each in msgspec.structs.fields(shape):
        found = _leaves(each.type)
        if bool in found:
            kinds[each.encode_name] = bool
        elif list in found:
            kinds[each.encode_name] = list
    return kinds


def _leaves(hint: Any) -> set[Any]:
    origin = get_origin(hint)
    if origin is list or hint is list:
        return {list}
    arguments = get_args(hint)
    if origin is not None and arguments:
        return {leaf for argument in arguments for leaf in _leaves(argument)}
    return {hint}


def _flag(text: str) -> object:
    lowered = text.lower()
    if lowered in TRUE_WORDS:
        return True
    return False if lowered in FALSE_WORDS else text


def _plain(value: Any) -> Any:
    """A Struct with undeclared attributes as the flat object that the client knows."""
    extra = extras_of(type(value)) if isinstance(value, msgspec.Struct) else None
    if extra is None:
        return value
    flat: dict[str, Any] = msgspec.to_builtins(value)
    undeclared = flat.pop(extra, None) or {}
    return {**undeclared, **flat}
