"""The engine: runs flows, one step at a time, and holds no database while it waits."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import msgspec
from sqlalchemy import Executable, Table, bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from onestack.core import clock, doorbell, fence, flow_record, log, trace
from onestack.core.bus import AgentError, Bus
from onestack.core.context import Cloud
from onestack.core.db import Database
from onestack.core.errors import ApiError
from onestack.core.flow import (
    Ask,
    Child,
    Compute,
    Failure,
    Flow,
    FlowBusy,
    Next,
    Sleep,
    Step,
    begin,
)  # fmt: skip
from onestack.core.flow_record import DOORBELL, FlowRecord
from onestack.core.holding import holding
from onestack.core.seal import Seal
from onestack.core.sequence import draw

LEASE_S = 30.0
STEPS_MAX = 100_000
HASTY_TRIES = 2
BACKOFF_S = 1.0
BACKOFF_MAX_S = 300.0
SPREAD_S = 60.0


# Built once: what a step costs is mostly the building of its statements.
_FLOWS = cast(Table, FlowRecord.__table__)
_OURS = (_FLOWS.c.id == bindparam("taken"), _FLOWS.c.fence == bindparam("drawn"))
_DUE = (
    select(_FLOWS)
    .where(
        _FLOWS.c.due_at <= bindparam("now"), _FLOWS.c.kind.in_(bindparam("kinds", expanding=True))
    )
    .order_by(_FLOWS.c.due_at, _FLOWS.c.started_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_LEASE = update(_FLOWS).where(_OURS[0])
_WRITE = update(_FLOWS).where(*_OURS)
_DELETE = delete(_FLOWS).where(*_OURS)
_HOLD = select(_FLOWS.c.id).where(*_OURS).with_for_update()
_HOLD_PARENT = select(_FLOWS.c.id).where(_FLOWS.c.id == bindparam("parent")).with_for_update()


class Agents(Protocol):
    """How an agent is asked."""

    def ask(
        self, agent: str, method: str, arguments: Mapping[str, Any], timeout_s: float
    ) -> Any: ...


class LeaseLost(Exception):
    """The flow is somebody else's by now; nothing of this step may be written."""


class Errand(msgspec.Struct, omit_defaults=True):
    """What a flow waits for: an agent's method, a function of its own, or a child."""

    then: str
    otherwise: str | None = None
    agent: str | None = None
    method: str | None = None
    arguments: dict[str, Any] = {}
    sealed: str | None = None  # the arguments, where they are secret
    timeout_s: float = 0.0
    child: str | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """A leased flow whose errand is to be done outside of the database."""

    row: FlowRecord
    errand: Errand


@dataclass(frozen=True, slots=True)
class Outcome:
    value: Any = None
    error: Exception | None = None


class BusAgents:
    """Agents behind the bus: a method is called `Contract.method`."""

    def __init__(self, bus: Bus, contracts: Iterable[type]) -> None:
        self._bus = bus
        self._contracts = {contract.__name__: contract for contract in contracts}

    def ask(self, agent: str, method: str, arguments: Mapping[str, Any], timeout_s: float) -> Any:
        contract, _, name = method.rpartition(".")
        return self._bus.call(self._contracts[contract], agent, name, arguments, timeout_s)


class Engine:
    """Runs the flows that are due; any number of engines may share a database."""

    def __init__(
        self,
        database: Database,
        agents: Agents,
        flows: Iterable[type[Flow[Any]]],
        lease_s: float = LEASE_S,
        cloud: Cloud | None = None,
    ) -> None:
        self.database, self.agents, self.lease_s = database, agents, lease_s
        self.holder = ""  # which worker it is, of all that ever run
        self._cloud = cloud or Cloud()
        self.flows: dict[str, type[Flow[Any]]] = {}
        for each in flows:
            if self.flows.setdefault(each.kind, each) is not each:
                raise ValueError(f"two flows are called {each.kind}")
        self.bell = doorbell.Bell()

    def ring(self) -> None:
        """Say that a flow may be due, from any thread."""
        self.bell.ring()

    def take_back(self) -> None:
        """Let go of what an earlier run of this worker held when it died: nobody else has that
        name, so nobody is at it. What was under way at several deaths may be why, and waits."""
        now, ours = clock.now(), FlowRecord.holder == self.holder
        held = (ours, FlowRecord.tries.between(1, HASTY_TRIES), FlowRecord.due_at > now)
        with self.database.transaction() as session:
            session.execute(update(FlowRecord).where(*held).values(due_at=now))

    def prepare(self) -> None:
        """Start the periodic flows that nobody has started yet."""
        for kind in self.flows.values():
            if kind.every_s is None:
                continue
            delay_s = clock.randomness().random() * min(kind.every_s, SPREAD_S)
            try:
                with self.database.transaction() as session:
                    if flow_record.running(session, f"periodic/{kind.kind}") is None:
                        begin(session, kind, None, {}, delay_s=delay_s)
            except FlowBusy:
                continue  # another engine was faster

    def next_due(self) -> dt.datetime | None:
        """When there is something to do, as far as is known now."""
        with self.database.transaction(write=False) as session:
            return session.scalar(
                select(func.min(FlowRecord.due_at)).where(FlowRecord.kind.in_(self.flows))
            )

    def run_one(self) -> bool:
        """Run one due step, and the errand that it returns; False when nothing is due."""
        row = self.take()
        if row is None:
            return False
        work = self.advance(row)
        if work is not None:
            self.settle(work, self.carry_out(work))
        return True

    def run_until_idle(self) -> int:
        """Run everything that is due now; how many steps that were."""
        for count in range(STEPS_MAX):
            if not self.run_one():
                return count
        raise RuntimeError(f"flows are still due after {STEPS_MAX} steps")

    def take(self) -> FlowRecord | None:
        """Lease the flow that has been due for the longest time. This counts as a try, so that a
        step that kills its process comes to an end too."""
        now = clock.now()
        with self.database.engine.begin() as connection:
            found = connection.execute(_DUE, {"now": now, "kinds": list(self.flows)}).first()
            if found is None:
                return None
            row = FlowRecord(**found._mapping)
            row.fence = draw(connection, DOORBELL)
            row.tries += 1
            row.due_at = now + dt.timedelta(seconds=self.lease_s)
            lease = {
                "tries": row.tries, "due_at": row.due_at, "fence": row.fence,
                "holder": self.holder,
            }  # fmt: skip
            connection.execute(_LEASE, {"taken": row.id, **lease})
        return row

    def advance(self, row: FlowRecord) -> Work | None:
        """Run the step of a leased flow; what it wants done outside is for `carry_out`."""
        with self._traced(row):
            try:
                with trace.span("flow", f"{row.kind}.{row.step}"):
                    return self._advance(row)
            except Exception as error:
                self._stumble(row, error)
        return None

    def carry_out(self, work: Work) -> Outcome:
        """Do an errand, on any thread; touches no database."""
        row, errand = work.row, work.errand
        token = fence.current.set(fence.Fence(row.subject, row.fence))
        try:
            with self._traced(row), trace.span("flow", f"{row.kind}.{row.step} {errand.method}"):
                method = str(errand.method)
                if errand.agent is None:
                    value = getattr(self.flows[row.kind], method)(**errand.arguments)
                else:
                    value = self.agents.ask(
                        errand.agent, method, errand.arguments, errand.timeout_s
                    )
                return Outcome(msgspec.to_builtins(value))
        except Exception as error:
            return Outcome(error=error)
        finally:
            fence.current.reset(token)

    def settle(self, work: Work, outcome: Outcome) -> None:
        """Write down how an errand ended."""
        with self._traced(work.row):
            try:
                if outcome.error is not None:
                    raise outcome.error
                with self._leased(work.row) as session:
                    self._enter(session, work.row, work.errand.then, {"value": outcome.value})
            except Exception as error:
                self._stumble(work.row, error, work.errand)

    def renew(self, rows: Iterable[FlowRecord]) -> None:
        """Keep the leases of errands that take long."""
        self._extend(rows, self.lease_s)

    def release(self, rows: Iterable[FlowRecord]) -> None:
        """Give leases back, for somebody else to do what is not done."""
        self._extend(rows, 0.0)

    def _extend(self, rows: Iterable[FlowRecord], seconds: float) -> None:
        ours = FlowRecord.fence.in_([row.fence for row in rows])
        due_at = clock.now() + dt.timedelta(seconds=seconds)
        with self.database.transaction() as session:
            session.execute(update(FlowRecord).where(ours).values(due_at=due_at))

    def _advance(self, row: FlowRecord) -> Work | None:
        reason = self._hopeless(row)
        if row.failure is not None:
            self._fail(row, Failure(**row.failure))
        elif reason is not None:
            with self._leased(row) as session:
                self._condemn(session, row, reason)
        elif row.errand is None:
            return self._step(row)
        else:
            errand = msgspec.convert(row.errand, Errand)
            if errand.child is None:
                return Work(row, self._unsealed(errand))
            self._child_ended(row, errand)
        return None

    def _hopeless(self, row: FlowRecord) -> Failure | None:
        """Why no further try is worth it."""
        kind = self.flows[row.kind]
        if row.deadline is not None and clock.now() >= row.deadline:
            text = f"{row.kind} was not over at its deadline, {row.deadline.isoformat()}."
            return Failure("DeadlineExceeded", text, row.step)
        if row.tries > kind.tries_max:
            text = f"{row.kind} died {kind.tries_max} times at its step {row.step}."
            return Failure("Crashed", text, row.step)
        return None

    def _step(self, row: FlowRecord) -> Work | None:
        with self._leased(row) as session:
            flow = self._load(session, row)
            errand = self._follow(session, row, flow, flow.take(row.step, row.answer))
        return Work(row, errand) if errand is not None else None

    def _follow(
        self, session: Session, row: FlowRecord, flow: Flow[Any], what: Next
    ) -> Errand | None:
        """Write down what a step returned; an errand that is to be done now comes back."""
        match what:
            case None:
                self._end(session, row, flow, "end")
            case Sleep(seconds=seconds):
                due_at = self._in(row, seconds)
                _write(session, row, state=flow.state, due_at=due_at, tries=0)
            case Child():
                self._begin_child(session, row, flow, what)
            case Ask() | Compute():
                errand = _errand(flow, what)
                stored = msgspec.to_builtins(self._stored(errand, what))
                row.tries = 1  # its first try follows at once, under the same lease
                row.state = flow.state  # the answer goes to a flow that remembers this
                _write(session, row, state=row.state, errand=stored, answer=None, tries=row.tries)
                return errand
            case _:
                self._move(session, row, flow, _name(flow, what))
        return None

    def _begin_child(
        self, session: Session, row: FlowRecord, flow: Flow[Any], wanted: Child
    ) -> None:
        if self.flows.get(wanted.flow.kind) is not wanted.flow or wanted.flow.every_s is not None:
            raise TypeError(f"{wanted.flow.kind} is no flow that can be a child here")
        child = begin(session, wanted.flow, wanted.subject, wanted.state, wanted.also, row)
        errand = Errand(_name(flow, wanted.then), _name_or_none(flow, wanted.otherwise))
        errand.child = child
        _write(
            session, row, state=flow.state, errand=msgspec.to_builtins(errand), answer=None,
            due_at=None, tries=0,
        )  # fmt: skip

    def _child_ended(self, row: FlowRecord, errand: Errand) -> None:
        failure = (row.answer or {}).get("failure")
        with self._leased(row) as session:
            if failure is None:
                self._enter(session, row, errand.then)
            else:
                self._otherwise(session, row, errand, Failure(**failure))

    def _enter(
        self, session: Session, row: FlowRecord, name: str, answer: dict[str, Any] | None = None
    ) -> None:
        self._move(session, row, self._load(session, row), name, answer)

    def _move(
        self, session: Session, row: FlowRecord, flow: Flow[Any], name: str,
        answer: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        flow.show(name)
        _write(
            session, row, step=name, state=flow.state, answer=answer, errand=None,
            due_at=clock.now(), tries=0,
        )  # fmt: skip

    def _otherwise(
        self, session: Session, row: FlowRecord, errand: Errand | None, failure: Failure
    ) -> None:
        if errand is None or errand.otherwise is None:
            self._condemn(session, row, failure)
            return
        try:
            flow = self._load(session, row)
        except Exception as error:
            self._condemn(session, row, Failure.of(error, row.step))
        else:
            self._move(session, row, flow, errand.otherwise, {"failure": failure.to_row()})

    def _condemn(self, session: Session, row: FlowRecord, failure: Failure) -> None:
        """From here on the flow only fails: `failed` runs next, in a transaction of its own."""
        _write(
            session, row, failure=failure.to_row(), errand=None, answer=None,
            due_at=clock.now(), tries=0,
        )  # fmt: skip

    def _fail(self, row: FlowRecord, failure: Failure) -> None:
        with self._leased(row) as session:
            kind = self.flows[row.kind]
            # A `failed` that fails itself must not keep the resource for ever.
            is_worth_it = row.tries <= kind.tries_max
            flow = kind.load(session, row, with_state=is_worth_it)
            flow.cloud = self._cloud
            if is_worth_it and (flow.has_subject or flow.every_s is not None):
                flow.failed(failure)
            self._end(session, row, flow, "error", failure)

    def _end(
        self, session: Session, row: FlowRecord, flow: Flow[Any], what: str,
        failure: Failure | None = None,
    ) -> None:  # fmt: skip
        more = {"error": failure.error, "text": failure.text} if failure else {}
        flow.notify(session, row, what, **more)
        flow.show(None)
        if flow.every_s is not None:
            due_at = clock.now() + dt.timedelta(seconds=flow.every_s)
            kept = {"state": flow.state} if failure is None else {}
            _write(
                session, row, step=flow.steps[0], due_at=due_at, tries=0,
                answer=None, errand=None, failure=None, **kept,
            )  # fmt: skip
            return
        if row.parent_id is not None:
            answer = {"value": None} if failure is None else {"failure": failure.to_row()}
            flow_record.wake_parent(session, row.parent_id, answer)
        _fenced(session, _DELETE, row, {})

    def _stumble(self, row: FlowRecord, error: Exception, errand: Errand | None = None) -> None:
        """A try has failed: wait and try again, or give up."""
        if isinstance(error, LeaseLost):
            log.info("a lease ended before its step", kind=row.kind, step=row.step, id=row.id)
            return
        log.exception("a step failed", error, kind=row.kind, step=row.step, subject=row.subject)
        kind = self.flows[row.kind]
        is_last = _is_final(error) or row.tries >= kind.tries_max
        try:
            with self._leased(row) as session:
                if is_last and row.failure is None:
                    self._otherwise(session, row, errand, Failure.of(error, row.step))
                else:
                    _write(session, row, due_at=self._in(row, _backoff_s(row.tries)))
        except LeaseLost:
            return

    def _stored(self, errand: Errand, what: Ask | Compute) -> Errand:
        """An errand as the row keeps it: what is secret is sealed."""
        if isinstance(what, Compute) or not what.is_secret:
            return errand
        sealed = self._seal.close(msgspec.json.encode(errand.arguments))
        return msgspec.structs.replace(errand, arguments={}, sealed=sealed)

    def _unsealed(self, errand: Errand) -> Errand:
        if errand.sealed is None:
            return errand
        arguments = msgspec.json.decode(self._seal.open(errand.sealed))
        return msgspec.structs.replace(errand, arguments=arguments, sealed=None)

    @property
    def _seal(self) -> Seal:
        return self._cloud.get(Seal).derive("errands")

    def _load(self, session: Session, row: FlowRecord) -> Flow[Any]:
        flow = self.flows[row.kind].load(session, row)
        flow.cloud = self._cloud
        if not flow.has_subject and flow.every_s is None:
            raise Failure("SubjectGone", f"{row.subject} is gone.", row.step, 404)
        return flow

    @contextmanager
    def _leased(self, row: FlowRecord) -> Iterator[Session]:
        """A transaction that has the flow's row, and in which nothing waits."""
        token = holding.set(True)
        try:
            with self.database.transaction() as session:
                if not self.database.is_sqlite:  # there, who writes has every row
                    _hold(session, row)
                yield session
        finally:
            holding.reset(token)

    @contextmanager
    def _traced(self, row: FlowRecord) -> Iterator[None]:
        with trace.recording(row.request_id):
            trace.about(row.subject_id)
            yield

    def _in(self, row: FlowRecord, seconds: float) -> dt.datetime:
        """A moment in the future; a flow that still has hope wakes for its deadline too."""
        moment = clock.now() + dt.timedelta(seconds=seconds)
        if row.deadline is None or row.failure is not None:
            return moment
        return min(moment, row.deadline)


def _hold(session: Session, row: FlowRecord) -> None:
    """Take the row before those of resources, as whoever pre-empts the flow does: nobody waits in
    a circle."""
    connection = session.connection()
    if row.parent_id is not None:
        connection.execute(_HOLD_PARENT, {"parent": row.parent_id})
    if connection.execute(_HOLD, {"taken": row.id, "drawn": row.fence}).first() is None:
        raise LeaseLost


def _write(session: Session, row: FlowRecord, **changes: Any) -> None:
    """Change the flow's row, if the lease is still ours."""
    _fenced(session, _WRITE, row, changes)


def _fenced(
    session: Session, statement: Executable, row: FlowRecord, values: Mapping[str, Any]
) -> None:
    session.flush()
    ours = {"taken": row.id, "drawn": row.fence}
    if session.connection().execute(statement, {**values, **ours}).rowcount != 1:
        raise LeaseLost


def _errand(flow: Flow[Any], what: Ask | Compute) -> Errand:
    errand = Errand(_name(flow, what.then), _name_or_none(flow, what.otherwise))
    errand.arguments = msgspec.to_builtins(dict(what.arguments))
    if isinstance(what, Compute):
        errand.method = what.function.__name__
        return errand
    errand.agent, errand.timeout_s = what.agent, what.timeout_s
    errand.method = what.method if isinstance(what.method, str) else what.method.__qualname__
    return errand


def _name(flow: Flow[Any], following: Step) -> str:
    name: str = getattr(following, "__name__", "")
    if name not in flow.steps:
        raise TypeError(f"{flow.kind} cannot go on at {following!r}: that is none of its steps")
    return name


def _name_or_none(flow: Flow[Any], following: Step | None) -> str | None:
    return None if following is None else _name(flow, following)


def _is_final(error: Exception) -> bool:
    """Whether the same again would only bring the same error."""
    if isinstance(error, Failure):
        return True
    if isinstance(error, AgentError):
        return error.is_refusal
    return isinstance(error, ApiError) and error.status < 500 and not isinstance(error, FlowBusy)


def _backoff_s(tries: int) -> float:
    longest: float = min(BACKOFF_MAX_S, BACKOFF_S * 2.0**tries)
    return longest * (0.5 + clock.randomness().random() / 2)
