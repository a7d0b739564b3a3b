"""Flows: what takes longer than a request moves through named steps, and its step is a row.

    class CreateServer(Flow[ServerRecord]):
        event = "compute.server.create"

        image_id: str                       # what the flow remembers from step to step
        host: str | None = None

        @step(shows="scheduling")
        def schedule(self) -> Next:
            self.host = scheduler.choose(...)
            return Ask(self.host, Hypervisor.create, {...}, then=self.activate)

        @step(shows="spawning")
        def activate(self, guest: Guest) -> Next:
            self.subject.status = "ACTIVE"
            return None                     # done

        def failed(self, failure: Failure) -> None:
            self.subject.status = "ERROR"

    CreateServer.start(session, server, image_id=image.id)

A step runs in one transaction, perhaps more than once, and takes effect once. It never waits: what
must be done elsewhere is a value that it returns.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from inspect import get_annotations, signature
from types import FunctionType, NoneType, new_class
from typing import (
    Any,
    ClassVar,
    Generic,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)  # fmt: skip

import msgspec
from sqlalchemy.orm import Session

from onestack.core import clock, event, flow_record, log, trace
from onestack.core.context import Cloud
from onestack.core.errors import ApiError
from onestack.core.event import News
from onestack.core.flow_record import FlowBusy, FlowRecord

__all__ = [
    "Ask", "Child", "Compute", "Failure", "Flow", "FlowBusy", "Next", "Preempted", "Sleep",
    "periodic", "step",
]  # fmt: skip

S = TypeVar("S")
F = TypeVar("F", bound=Callable[..., Any])
Step: TypeAlias = Callable[..., Any]


class Sleep(msgspec.Struct, frozen=True):
    """Run this step again after a while."""

    seconds: float


class Ask(msgspec.Struct, frozen=True):
    """Have an agent do something; its answer goes to `then`.

    A call that fails is repeated, so the method must be idempotent. When that does not help, or the
    agent refuses, the flow goes on at `otherwise`, or fails. Until then the arguments are in the
    flow's row; where they are secret, nobody can read them there.
    """

    agent: str
    method: Callable[..., Any] | str
    arguments: Mapping[str, Any]
    then: Step
    otherwise: Step | None = None
    timeout_s: float = 60.0
    is_secret: bool = False


class Compute(msgspec.Struct, frozen=True):
    """Run one of the flow's static methods outside the transaction; its result goes to `then`."""

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    then: Step
    otherwise: Step | None = None


class Child(msgspec.Struct, frozen=True):
    """Run another flow to its end, then go on at `then`; when it fails, at `otherwise` or fail."""

    flow: "type[Flow[Any]]"
    subject: Any
    then: Step
    state: Mapping[str, Any] = {}
    otherwise: Step | None = None
    also: Iterable[Any] = ()


Next: TypeAlias = Step | Sleep | Ask | Compute | Child | None


class Failure(Exception):
    """Why something failed, as far as a row can tell: the error's name, its text and its step.

    The engine's own names are DeadlineExceeded, Crashed (the process died at each try), Preempted
    and SubjectGone; a failed child has the name of its own failure. `status` is set when the text
    was written for clients.
    """

    def __init__(self, error: str, text: str, step: str = "", status: int | None = None) -> None:
        super().__init__(f"{error}: {text}")
        self.error, self.text, self.step, self.status = error, text, step, status

    @classmethod
    def of(cls, error: Exception, step: str) -> "Failure":
        if isinstance(error, Failure):
            return error
        status = error.status if isinstance(error, ApiError) and error.status < 500 else None
        name = getattr(error, "type", type(error).__name__)
        return cls(name, log.said(error)[:2000], step, status)

    def to_row(self) -> dict[str, Any]:
        return {"error": self.error, "text": self.text, "step": self.step, "status": self.status}


class Preempted(msgspec.Struct, frozen=True):
    """A flow that was replaced, for its successor to undo: `errand` is what was under way."""

    kind: str
    step: str
    state: dict[str, Any]
    errand: dict[str, Any] | None = None


def step(*, shows: str | None = None) -> Callable[[F], F]:
    """A step of a flow; from when it is entered, clients see `shows` as the resource's state."""

    def mark(function: F) -> F:
        function.__dict__["shows"] = shows
        return function

    return mark


class Flow(Generic[S]):
    """Subclass it for a kind of resource; the step that is declared first is where it starts."""

    kind: ClassVar[str]  # the class's name, unless said otherwise
    event: ClassVar[str | None] = None  # its start, end and error are reported under this name
    deadline_s: ClassVar[float | None] = 3600.0
    tries_max: ClassVar[int] = 5
    preempts: ClassVar[bool] = False  # replaces another flow of its subject, see `preempted`
    every_s: ClassVar[float | None] = None  # starts again that long after its end, for ever
    shown_in: ClassVar[str] = "task_state"

    steps: ClassVar[tuple[str, ...]]
    subject_type: ClassVar[type[Any]]
    session: Session
    cloud: Cloud  # what this process was wired with, for the facades that a step calls
    subject: S
    preempted: list[Preempted]

    _state_type: ClassVar[type[msgspec.Struct] | None] = None

    def __init_subclass__(cls) -> None:
        cls.kind = vars(cls).get("kind", cls.__name__)
        cls.steps = tuple(
            name
            for owner in reversed(cls.__mro__)
            for name, function in vars(owner).items()
            if isinstance(function, FunctionType) and "shows" in vars(function)
        )
        cls._state_type = None
        for generic in getattr(cls, "__orig_bases__", ()):
            if get_origin(generic) is Flow:
                cls.subject_type = get_args(generic)[0]

    @classmethod
    def start(cls, session: Session, subject: S, *, also: Iterable[Any] = (), **state: Any) -> str:
        """Start with the session's commit, or raise `FlowBusy`; call it before other changes.

        The flow holds its subject, and all that is in `also`, until it ends.
        """
        return begin(session, cls, subject, state, also=also)

    @classmethod
    def start_all(cls, session: Session, subjects: Iterable[S], **state: Any) -> None:
        """Start one for each of several resources that are new, so that nobody else holds them."""
        begun = [_prepared(session, cls, each, state) for each in subjects]
        flow_record.begin_all(session, [row for _, row in begun])
        for flow, _ in begun:
            flow.show(cls.steps[0])
        if cls.event is not None:
            news = [flow._news(row) for flow, row in begun]
            event.emit_all(session, f"{cls.event}.start", news)

    def failed(self, failure: Failure) -> None:
        """Leave the resource in good order after the last try; in a transaction of its own."""

    def describe(self) -> dict[str, Any]:
        """What the notifications of its start and end say, besides the resource's id."""
        return {}

    # The rest is for the engine.

    @classmethod
    def load(cls, session: Session, row: FlowRecord, *, with_state: bool = True) -> "Flow[S]":
        """The flow that a row stands for."""
        flow = cls()
        flow.session = session
        flow.preempted = msgspec.convert(row.preempted, list[Preempted])
        if cls.subject_type is not NoneType:
            flow.subject = flow_record.subject_of(session, cls.subject_type, row.subject)
        if with_state:
            flow._remember(row.state)
        return flow

    @property
    def has_subject(self) -> bool:
        return getattr(self, "subject", None) is not None

    @property
    def state(self) -> dict[str, Any]:
        """What is remembered, as a row keeps it."""
        kind = self._states()
        found = kind(**{name: getattr(self, name) for name in kind.__struct_fields__})
        return msgspec.to_builtins(found)  # type: ignore[no-any-return]

    def take(self, name: str, answer: dict[str, Any] | None) -> Next:
        """Run a step; one that has a parameter gets the answer to what was asked."""
        if name not in self.steps:
            raise TypeError(f"{self.kind} has no step {name}")
        method: Callable[..., Next] = getattr(self, name)
        wanted = _wanted(getattr(type(self), name))
        if not wanted:
            return method()
        if answer is not None and "failure" in answer:
            return method(Failure(**answer["failure"]))
        return method(msgspec.convert((answer or {}).get("value"), wanted[0]))

    def name_of(self, following: Step) -> str:
        """The name of a step of this flow."""
        name: str = getattr(following, "__name__", "")
        if name not in self.steps:
            raise TypeError(f"{self.kind} cannot go on at {following!r}: that is none of its steps")
        return name

    def show(self, name: str | None) -> None:
        """Let clients see that a step was entered, or that the flow is over."""
        if self.has_subject and hasattr(type(self.subject), self.shown_in):
            shows = vars(getattr(type(self), name))["shows"] if name else None
            setattr(self.subject, self.shown_in, shows)

    def notify(self, session: Session, row: FlowRecord, what: str, **more: Any) -> None:
        """Report a start, an end or an error."""
        if self.event is not None:
            news = self._news(row, is_described=what != "error", **more)
            event.emit_all(session, f"{self.event}.{what}", [news])

    def _news(self, row: FlowRecord, *, is_described: bool = True, **more: Any) -> News:
        known = {"id": row.subject_id}
        if self.has_subject and is_described:
            known |= self.describe()
        project_id = getattr(self.subject, "project_id", None) if self.has_subject else None
        return News({**known, **more}, project_id, row.subject)

    @classmethod
    def _states(cls) -> type[msgspec.Struct]:
        if cls._state_type is None:
            hints = get_type_hints(cls, include_extras=True)
            own = [
                name
                for owner in reversed(cls.__mro__[: cls.__mro__.index(Flow)])
                for name in get_annotations(owner)
                if name not in Flow.__annotations__ and get_origin(hints[name]) is not ClassVar
            ]
            fields: list[Any] = [
                (name, hints[name], getattr(cls, name)) if hasattr(cls, name)
                else (name, hints[name]) for name in own
            ]  # fmt: skip
            cls._state_type = msgspec.defstruct(
                f"{cls.__name__}State", fields, kw_only=True, forbid_unknown_fields=True
            )
        return cls._state_type

    def _remember(self, state: Mapping[str, Any]) -> None:
        found = msgspec.convert(msgspec.to_builtins(state), self._states())
        for name in found.__struct_fields__:
            setattr(self, name, getattr(found, name))


def begin(  # noqa: PLR0913, PLR0917 - what a flow may begin with
    session: Session,
    kind: type[Flow[Any]],
    subject: Any,
    state: Mapping[str, Any],
    also: Iterable[Any] = (),
    parent: FlowRecord | None = None,
    delay_s: float = 0.0,
) -> str:
    """Add a flow to the database; its id."""
    flow, row = _prepared(session, kind, subject, state, parent, delay_s)
    flow_record.begin(session, row, [flow_record.subject_key(session, each) for each in also])
    flow.show(kind.steps[0])
    flow.notify(session, row, "start")
    return row.id


def _prepared(
    session: Session,
    kind: type[Flow[Any]],
    subject: Any,
    state: Mapping[str, Any],
    parent: FlowRecord | None = None,
    delay_s: float = 0.0,
) -> tuple[Flow[Any], FlowRecord]:
    """A flow that begins, and the row that it is to have."""
    now = clock.now()
    ends = [parent.deadline] if parent and parent.deadline else []
    if kind.deadline_s is not None:
        ends.append(now + dt.timedelta(seconds=kind.deadline_s))
    key = f"periodic/{kind.kind}" if subject is None else flow_record.subject_key(session, subject)
    flow = kind()
    flow.session, flow.subject, flow.preempted = session, subject, []
    flow._remember(state)
    row = FlowRecord(
        id=clock.new_id(), kind=kind.kind, event=kind.event, subject=key, preempts=kind.preempts,
        parent_id=parent.id if parent else None, step=kind.steps[0], state=flow.state,
        errand=None, answer=None, failure=None, preempted=[], fence=0, holder="", tries=0,
        due_at=now + dt.timedelta(seconds=delay_s), deadline=min(ends, default=None),
        started_at=now, request_id=trace.current_id() or f"req-{clock.new_id()}",
    )  # fmt: skip
    return flow, row


@cache
def _wanted(function: FunctionType) -> tuple[Any, ...]:
    """The types of what a step takes besides itself: of an answer, or nothing."""
    hints = get_type_hints(function)
    return tuple(hints.get(each, Any) for each in [*signature(function).parameters][1:])


def periodic(every_s: float) -> Callable[[Callable[[Session], object]], type[Flow[None]]]:
    """Declare what is done again and again, in a transaction, by one worker of the whole cloud."""

    def declare(function: Callable[[Session], object]) -> type[Flow[None]]:
        def run(self: Flow[None]) -> Next:
            function(self.session)
            return None

        body = {
            "run": step()(run), "every_s": every_s, "deadline_s": None,
            "__doc__": function.__doc__, "__module__": function.__module__,
        }  # fmt: skip
        name = function.__name__
        return new_class(name, (Flow[None],), exec_body=lambda space: space.update(body))

    return declare
