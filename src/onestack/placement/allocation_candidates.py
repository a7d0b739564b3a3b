"""Allocation candidates: who could serve a request."""

from typing import Annotated, Any

from onestack.core.api import Operations, Raw
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import Extras, Shape, since
from onestack.placement import answer, known, rules
from onestack.placement.candidates import Request
from onestack.placement.request import read
from onestack.placement.snapshot import Snapshot
from onestack.placement.style import dated

api = Operations("allocation_candidates")


class InvalidClass(BadRequest):
    message = "Invalid resource class in resources parameter: No such resource class {name}."


class CandidatesQuery(Shape):
    """What is wanted; resources, required, member_of and in_tree may carry a group's suffix."""

    resources: list[str] = []
    limit: Annotated[list[str], since("1.16")] = []
    required: Annotated[list[str], since("1.17")] = []
    member_of: Annotated[list[str], since("1.21")] = []
    group_policy: Annotated[list[str], since("1.25")] = []
    in_tree: Annotated[list[str], since("1.31")] = []
    root_required: Annotated[list[str], since("1.35")] = []
    same_subtree: Annotated[list[str], since("1.36")] = []
    groups: Annotated[dict[str, Any], Extras] = {}


@api.get("/allocation_candidates", rules.rule("allocation_candidates:list"), since="1.10")
def index(ctx: Context, query: CandidatesQuery) -> Raw:
    """List ways to serve a request."""
    # The parameters of groups are told apart by their suffixes, which no shape can declare.
    request = read(ctx.request.query(), ctx.version)
    _check_names(ctx, request)
    dated(ctx)
    with ctx.cloud.get(Snapshot).forest() as forest:
        return Raw(answer.write(forest, request, ctx.version))


def _check_names(ctx: Context, request: Request) -> None:
    """Refuse resource classes and traits that there are not."""
    groups = request.groups.values()
    classes = {name for group in groups for name in group.resources}
    for name in known.unknown_classes(ctx.session, classes):
        raise InvalidClass(name=name)
    wanted = [request.root_traits, *(group.traits for group in groups)]
    known.check_traits(
        ctx.session, {name for each in wanted for name in each.forbidden.union(*each.any_of)}
    )
