"""The engine: runs flows, one step at a time, and holds no database while it waits."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec
from sqlalchemy.orm import Session

from onestack.core import clock, doorbell, fence, flow_record, lease, log, trace
from onestack.core.bus import AgentError, Bus
from onestack.core.context import Cloud
from onestack.core.db import Database
from onestack.core.errand import Errand
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
    begin,
)  # fmt: skip
from onestack.core.flow_record import FlowRecord
from onestack.core.holding import holding

LEASE_S = 30.0
STEPS_MAX = 100_000
BACKOFF_S = 1.0
BACKOFF_MAX_S = 300.0
SPREAD_S = 60.0


class Agents(Protocol):
    """How an agent is asked."""

    def ask(
        self, agent: str, method: str, arguments: Mapping[str, Any], timeout_s: float
    ) -> Any: ...


class Work(msgspec.Struct, frozen=True):
    """A leased flow whose errand is to be done outside of the database."""

    row: FlowRecord
    errand: Errand


class Outcome(msgspec.Struct, frozen=True):
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
        """Let go of what an earlier run of this worker held when it died."""
        with self.database.transaction() as session:
            lease.take_back(session, self.holder)

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
        return lease.next_due(self.database, list(self.flows))

    def run_one(self) -> bool:
        """Run one due step, and the errands to which it leads; False when nothing is due."""
        row = self.take()
        if row is None:
            return False
        work = self.advance(row)
        while work is not None:
            work = self.settle(work, self.carry_out(work))
        return True

    def run_until_idle(self) -> int:
        """Run everything that is due now; how many steps that were."""
        for count in range(STEPS_MAX):
            if not self.run_one():
                return count
        raise RuntimeError(f"flows are still due after {STEPS_MAX} steps")

    def take(self) -> FlowRecord | None:
        """Lease the flow that has been due for the longest time."""
        return lease.take(self.database, list(self.flows), self.holder, self.lease_s)

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

    def settle(self, work: Work, outcome: Outcome) -> Work | None:
        """Go on after an errand; what the next step wants done outside is for `carry_out` too."""
        with self._traced(work.row):
            try:
                if outcome.error is not None:
                    raise outcome.error
                return self._go_on(work.row, work.errand.then, {"value": outcome.value})
            except Exception as error:
                self._stumble(work.row, error, work.errand)
        return None

    def renew(self, rows: Iterable[FlowRecord]) -> None:
        """Keep the leases of errands that take long."""
        self._extend(rows, self.lease_s)

    def release(self, rows: Iterable[FlowRecord]) -> None:
        """Give leases back, for somebody else to do what is not done."""
        self._extend(rows, 0.0)

    def _extend(self, rows: Iterable[FlowRecord], seconds: float) -> None:
        with self.database.transaction() as session:
            lease.extend(session, rows, seconds)

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
            errand = Errand.from_row(row.errand, self._cloud)
            if errand.child is None:
                return Work(row, errand)
            return self._child_ended(row, errand)
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

    def _go_on(self, row: FlowRecord, name: str, answer: dict[str, Any] | None) -> Work | None:
        """Run the step that comes after an errand, under the same lease. If that fails, only the
        answer is written down, and the step is tried by itself."""
        row.step, row.answer, row.errand = name, answer, None
        reason = self._hopeless(row)
        if reason is not None:
            with self._leased(row) as session:
                self._condemn(session, row, reason)
            return None
        try:
            with trace.span("flow", f"{row.kind}.{name}"):
                return self._step(row, is_new=True)
        except lease.LeaseLost:
            raise
        except Exception as error:
            text = log.said(error)[:500]
            log.info("a step is tried by itself", kind=row.kind, step=name, error=text)
            with self._leased(row) as session:
                self._enter(session, row, name, answer)
        return None

    def _step(self, row: FlowRecord, *, is_new: bool = False) -> Work | None:
        with self._leased(row) as session:
            flow = self._load(session, row)
            if is_new:
                flow.show(row.step)
            errand = self._follow(session, row, flow, flow.take(row.step, row.answer))
        if errand is None:
            return None
        row.tries = 1  # its first try follows at once, under the same lease
        row.state = flow.state  # the answer goes to a flow that remembers this
        return Work(row, errand)

    def _follow(
        self, session: Session, row: FlowRecord, flow: Flow[Any], what: Next
    ) -> Errand | None:
        """Write down what a step returned; an errand that is to be done now comes back."""
        match what:
            case None:
                self._end(session, row, flow, "end")
            case Sleep(seconds=seconds):
                lease.write(
                    session, row, step=row.step, state=flow.state, answer=row.answer, errand=None,
                    due_at=self._in(row, seconds), tries=0,
                )  # fmt: skip
            case Child():
                self._begin_child(session, row, flow, what)
            case Ask() | Compute():
                errand = Errand.of(flow, what)
                stored = errand.to_row(self._cloud)
                lease.write(
                    session, row, step=row.step, state=flow.state, errand=stored, answer=None,
                    tries=1,
                )  # fmt: skip
                return errand
            case _:
                self._move(session, row, flow, flow.name_of(what))
        return None

    def _begin_child(
        self, session: Session, row: FlowRecord, flow: Flow[Any], wanted: Child
    ) -> None:
        if self.flows.get(wanted.flow.kind) is not wanted.flow or wanted.flow.every_s is not None:
            raise TypeError(f"{wanted.flow.kind} is no flow that can be a child here")
        child = begin(session, wanted.flow, wanted.subject, wanted.state, wanted.also, row)
        errand = Errand.of(flow, wanted)
        errand.child = child
        lease.write(
            session, row, step=row.step, state=flow.state, errand=errand.to_row(self._cloud),
            answer=None, due_at=None, tries=0,
        )  # fmt: skip

    def _child_ended(self, row: FlowRecord, errand: Errand) -> Work | None:
        failure = (row.answer or {}).get("failure")
        if failure is None:
            return self._go_on(row, errand.then, None)
        with self._leased(row) as session:
            self._otherwise(session, row, errand, Failure(**failure))
        return None

    def _enter(
        self, session: Session, row: FlowRecord, name: str, answer: dict[str, Any] | None
    ) -> None:
        self._move(session, row, self._load(session, row), name, answer)

    def _move(
        self, session: Session, row: FlowRecord, flow: Flow[Any], name: str,
        answer: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        flow.show(name)
        lease.write(
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
        lease.write(
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
        log.info(
            "a flow failed", kind=row.kind, step=failure.step, subject=row.subject,
            error=failure.error, text=failure.text[:500],
        )  # fmt: skip

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
            lease.write(
                session, row, step=flow.steps[0], due_at=due_at, tries=0,
                answer=None, errand=None, failure=None, **kept,
            )  # fmt: skip
            return
        if row.parent_id is not None:
            answer = {"value": None} if failure is None else {"failure": failure.to_row()}
            flow_record.wake_parent(session, row.parent_id, answer)
        lease.end(session, row)

    def _stumble(self, row: FlowRecord, error: Exception, errand: Errand | None = None) -> None:
        """A try has failed: wait and try again, or give up."""
        if isinstance(error, lease.LeaseLost):
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
                    lease.write(session, row, due_at=self._in(row, _backoff_s(row.tries)))
        except lease.LeaseLost:
            return

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
                    lease.hold(session, row)
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
