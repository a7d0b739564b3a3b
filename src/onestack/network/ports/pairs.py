"""Address pairs of a port, some at a time: two who add some at once lose none."""

from collections.abc import Callable, Sequence

from onestack.core import event
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import Shape
from onestack.network.attributes import judge
from onestack.network.ports import add, attributes, change, checks
from onestack.network.ports.attributes import AddressPairBody, PortView
from onestack.network.ports.view import views

api = Operations("ports")

Pairs = list[dict[str, str]]


class NoSuchPair(BadRequest):
    type = "AddressPairNotFound"
    message = "Port {id} has no allowed address pair {pair}."


class PairsBody(Shape, forbid_unknown_fields=True):
    """Address pairs to add, or to take back."""

    allowed_address_pairs: list[AddressPairBody]


@api.put("/v2.0/ports/{port_id}/add_allowed_address_pairs", attributes.UPDATE_RULE, key="port")
def add_pairs(ctx: Context, port_id: str, body: PairsBody) -> PortView:
    """Let a port send from more addresses."""

    def more(known: Pairs, given: Pairs) -> Pairs:
        return [*known, *(each for each in given if each not in known)]

    return _changed(ctx, port_id, body.allowed_address_pairs, more)


@api.put("/v2.0/ports/{port_id}/remove_allowed_address_pairs", attributes.UPDATE_RULE, key="port")
def remove_pairs(ctx: Context, port_id: str, body: PairsBody) -> PortView:
    """Let a port send from some addresses no more."""

    def fewer(known: Pairs, given: Pairs) -> Pairs:
        for each in given:
            if each not in known:
                raise NoSuchPair(id=port_id, pair=each["ip_address"])
        return [each for each in known if each not in given]

    return _changed(ctx, port_id, body.allowed_address_pairs, fewer)


def _changed(
    ctx: Context,
    port_id: str,
    given: Sequence[AddressPairBody],
    change_of: Callable[[Pairs, Pairs], Pairs],
) -> PortView:
    record, target = attributes.seen(ctx, port_id)
    ctx.session.refresh(record, with_for_update=True)
    ctx.allow(target)
    judge(ctx, attributes.UPDATE, ["allowed_address_pairs"], target)
    pairs = change_of(record.allowed_address_pairs, checks.pairs_of(given, record.mac_address))
    wanted = [AddressPairBody(**each) for each in pairs]
    change.apply(ctx, record, {"allowed_address_pairs": wanted})
    event.emit(ctx.session, "port.update.end", add.payload(record), record.project_id, record.id)
    return views(ctx, [record])[0]
