"""Explain: why a server is where it is, or nowhere; and where one would go. onestack's own."""

from typing import Any

from onestack import image
from onestack.compute import decisions, placing, rules
from onestack.compute.flavors.read import visible
from onestack.compute.flavors.record import extra_specs_of
from onestack.compute.hosts import Hosts
from onestack.compute.lenient import Name
from onestack.compute.scheduler import RequestSpec, choose
from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import NotFound
from onestack.core.shapes import Shape, field, iso

api = Operations("explain")

READ = rules.rule("onestack:explain:show", rules.READER)
DRY_RUN = rules.rule("onestack:explain:create", rules.READER)


class NothingDecided(NotFound):
    message = "Nothing was decided on server {server_id}."


class DryRun(Shape, forbid_unknown_fields=True):
    """A server that could be made."""

    flavor_id: Name = field(name="flavorRef")
    image_id: str | None = field(default=None, name="imageRef")
    availability_zone: str | None = None
    host: str | None = None


class DecisionView(Shape):
    """A decision: which hosts refused a server, for what; hosts are named to administrators."""

    server_id: str | None
    decided_at: str | None
    request_id: str | None
    succeeded: bool
    reason: str
    considered: int
    refused: dict[str, int]
    wanted: dict[str, Any]
    host: str | None = None
    weights: dict[str, float] = {}
    hosts: dict[str, dict[str, str]] = {}
    closest: dict[str, Any] | None = None


@api.get("/v2.1/onestack/explain/{server_id}", READ, key="decisions")
def show(ctx: Context, server_id: str) -> Page[DecisionView]:
    """Show what was decided on a server, the newest decision first."""
    records = decisions.of_server(ctx.session, server_id)
    own = [each for each in records if each.project_id == ctx.caller.project_id]
    seen = records if rules.is_admin(ctx) else own
    ctx.allow({"project_id": seen[0].project_id if seen else ctx.caller.project_id})
    if not seen:
        raise NothingDecided(server_id=server_id[:64])
    return Page([_recorded(ctx, each) for each in seen])


@api.post("/v2.1/onestack/explain", DRY_RUN, reads=True)
def create(ctx: Context, body: DryRun) -> dict[str, DecisionView]:
    """Say where a server would go now; nothing is made, and nothing claimed."""
    rules.allow_own(ctx)
    spec = _spec(ctx, body)
    hosts = ctx.cloud.get(Hosts)
    options = hosts.everything(ctx.session, spec)
    decision = choose(spec, options, hosts.rules, clock.randomness())
    found = decisions.summary(spec, decision, options, hosts.rules)
    host = decision.ranked[0].host.name if decision.ranked else None
    return {"decision": _view(ctx, found, host, DecisionView(**_EMPTY))}


_EMPTY: dict[str, Any] = {
    "server_id": None, "decided_at": None, "request_id": None, "succeeded": False, "reason": "",
    "considered": 0, "refused": {}, "wanted": {},
}  # fmt: skip


def _spec(ctx: Context, body: DryRun) -> RequestSpec:
    """What such a server would ask of its host."""
    flavor = visible(ctx, body.flavor_id)
    project_id = ctx.caller.project_id or ""
    properties: dict[str, str] = {}
    if body.image_id:
        found = image.describe(ctx.session, body.image_id, project_id, rules.is_admin(ctx))
        properties = found.properties
    size = placing.Size(
        flavor.vcpus,
        flavor.memory_mb,
        placing.disk_gb(flavor.root_gb, flavor.ephemeral_gb, flavor.swap_mb),
        extra_specs_of(ctx.session, flavor.id),
    )
    return placing.spec_of_size(
        size, properties, server_id="", project_id=project_id, user_id=ctx.caller.user_id,
        zone=body.availability_zone, host=body.host if rules.is_admin(ctx) else None,
    )  # fmt: skip


def _recorded(ctx: Context, record: decisions.DecisionRecord) -> DecisionView:
    shown = DecisionView(
        **{
            **_EMPTY,
            "server_id": record.server_id,
            "decided_at": iso(record.decided_at),
            "request_id": record.request_id,
        }
    )
    return _view(ctx, record.verdicts, record.host, shown)


def _view(
    ctx: Context, found: dict[str, Any], host: str | None, shown: DecisionView
) -> DecisionView:
    """A decision; without hosts for whoever may not know them."""
    shown.succeeded = host is not None
    shown.reason = "A host was found." if host else decisions.told(found)
    shown.considered, shown.refused = found["considered"], found["refused"]
    shown.wanted = found["wanted"]
    if rules.is_admin(ctx):
        shown.host, shown.weights = host, found["weights"]
        shown.hosts, shown.closest = found["hosts"], found.get("closest")
    else:
        shown.wanted = {name: each for name, each in shown.wanted.items() if "host" not in name}
    return shown
