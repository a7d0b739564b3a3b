"""Decisions of the scheduler, kept so that everybody can be told why a server is where it is."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Table, delete, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.compute.scheduler import Decision, Option, Refusal, RequestSpec, Rules, verdicts
from onestack.core import clock, trace
from onestack.core.db import Record

SHOWN_MAX = 20  # hosts that are named; the others are counted
WEIGHTS_MAX = 5
KEPT_S = 30 * 24 * 3600.0


class DecisionRecord(Record):
    """Where a server was put, or why nowhere."""

    __tablename__ = "scheduling_decisions"

    id: Mapped[int] = mapped_column(primary_key=True)
    server_id: Mapped[str] = mapped_column(index=True)
    project_id: Mapped[str]
    request_id: Mapped[str | None]
    decided_at: Mapped[dt.datetime] = mapped_column(index=True)
    host: Mapped[str | None]
    verdicts: Mapped[dict[str, Any]]


_KEEP = insert(cast(Table, DecisionRecord.__table__))


def keep(
    session: Session, spec: RequestSpec, decision: Decision, host: str | None,
    everything: Sequence[Option], rules: Rules,
) -> None:  # fmt: skip
    """Write down a decision; where no host was found, with all that speaks against each."""
    row = {
        "server_id": spec.server_id, "project_id": spec.project_id,
        "request_id": trace.current_id(), "decided_at": clock.now(), "host": host,
        "verdicts": summary(spec, decision, everything, rules),
    }  # fmt: skip
    session.connection().execute(_KEEP, row)


def summary(
    spec: RequestSpec, decision: Decision, everything: Sequence[Option], rules: Rules
) -> dict[str, Any]:
    """What there is to know of a decision, hosts beyond a few being counted only."""
    best = list(decision.weights.items())[:WEIGHTS_MAX]
    found: dict[str, Any] = {
        "wanted": wanted(spec),
        "considered": decision.considered,
        "weights": {host: round(weight, 3) for host, weight in best},
    }
    refused = [[each] for each in decision.refusals]
    if not decision.ranked and everything:
        refused = [each for each in verdicts(spec, everything, rules) if each]
        found["considered"] = len(everything)
    found["refused"] = dict(Counter(each.filter for host in refused for each in host))
    found["hosts"] = {host[0].host: _against(host) for host in refused[:SHOWN_MAX]}
    if not decision.ranked and refused:
        found["closest"] = {"host": refused[0][0].host, "against": _against(refused[0])}
    return found


def wanted(spec: RequestSpec) -> dict[str, Any]:
    """What a server asks for, as far as it asks for anything."""
    asked: dict[str, Any] = {
        "resources": dict(spec.resources),
        "traits": sorted(name for each in spec.required for name in each),
        "forbidden_traits": sorted(spec.forbidden),
        "availability_zone": spec.zone,
        "host": spec.host,
        "avoided_hosts": sorted(spec.avoid),
        "server_group": spec.group.policy if spec.group else None,
    }
    return {name: value for name, value in asked.items() if value}


def of_server(session: Session, server_id: str) -> Sequence[DecisionRecord]:
    """The decisions on a server, the newest first."""
    chosen = select(DecisionRecord).where(DecisionRecord.server_id == server_id)
    return session.scalars(chosen.order_by(DecisionRecord.id.desc()).limit(SHOWN_MAX)).all()


def newest(session: Session, server_id: str) -> DecisionRecord | None:
    """The last decision on a server."""
    chosen = select(DecisionRecord).where(DecisionRecord.server_id == server_id)
    return session.scalar(chosen.order_by(DecisionRecord.id.desc()).limit(1))


def reason(session: Session, server_id: str) -> str:
    """Why the last decision on a server found no host, in a sentence that names none."""
    record = newest(session, server_id)
    return "There are not enough hosts available." if record is None else told(record.verdicts)


def told(found: Mapping[str, Any]) -> str:
    """Why no host was found: how many refused for what, for whoever may not know the hosts."""
    refused: Mapping[str, int] = found.get("refused", {})
    if not found.get("considered"):
        return "There are not enough hosts available."
    most = sorted(refused.items(), key=lambda item: -item[1])
    counts = ", ".join(f"{name} refused {count}" for name, count in most)
    return (
        f"There are not enough hosts available: of {found['considered']} hosts, {counts or 'none'}."
    )


def forget(session: Session) -> None:
    """Decisions are kept for a month."""
    oldest = clock.now() - dt.timedelta(seconds=KEPT_S)
    session.execute(delete(DecisionRecord).where(DecisionRecord.decided_at < oldest))


def _against(refusals: Iterable[Refusal]) -> dict[str, str]:
    return {each.filter: each.reason for each in refusals}
