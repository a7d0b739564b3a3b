"""Where a host's networks are not what they should be."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.context import Cloud
from onestack.core.drift import Disagreement, Inspection
from onestack.network.ports.record import PortRecord
from onestack.network.switch import Item, Switch
from onestack.network.wirings import placed
from onestack.network.wirings.record import WiringRecord

Revisions = dict[tuple[str, str], int]

MEND = "restart the host's agent: it is told everything anew"


def inspection() -> Inspection:
    """How switches are asked, and what is compared."""
    return Inspection("switch", Switch, "inventory", check)


def check(session: Session, _cloud: Cloud, host: str, had: list[Item]) -> Iterable[Disagreement]:
    """Compare what the rows say of a host with its wirings, and these with what it has."""
    here: Revisions = {(each.kind, each.id): each.revision for each in had}
    wanted = placed.wanted_on(session, host)
    wirings = session.scalars(select(WiringRecord).where(WiringRecord.host == host))
    told = {(each.kind, each.item_id): each for each in wirings if not each.is_gone}
    for kind, item in sorted(wanted | told.keys() | here.keys()):
        name = f"{kind} {item}"
        wiring = told.get((kind, item))
        if wiring is not None and wiring.trouble:
            yield Disagreement("network", name, host, f"in trouble: {wiring.trouble}", MEND)
        elif (kind, item) not in wanted:
            yield Disagreement("network", name, host, "is there, and nothing needs it", MEND)
        elif (kind, item) not in here:
            yield Disagreement("network", name, host, "is not there", MEND)
        elif wiring is None or here[kind, item] != wiring.wanted:
            yield Disagreement("network", name, host, "is not as it was changed last", MEND)
    yield from _ports(session, host, here)


def _ports(session: Session, host: str, here: dict[tuple[str, str], int]) -> Iterable[Disagreement]:
    """Ports that say that they work, and are not there."""
    bound = select(PortRecord).where(PortRecord.host == host, PortRecord.status == "ACTIVE")
    for port in session.scalars(bound):
        if port.device_owner.startswith("compute:") and ("port", port.id) not in here:
            text = "is ACTIVE, and the host does not have it"
            yield Disagreement("port", port.id, host, text, MEND)
