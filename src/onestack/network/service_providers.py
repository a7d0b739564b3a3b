"""Service providers: what there is of each service; of routers, there is one kind."""

from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.shapes import Shape
from onestack.network import rules

api = Operations("service providers")


class ServiceProviderView(Shape):
    """Something that provides a service."""

    service_type: str
    name: str
    default: bool


@api.get(
    "/v2.0/service-providers",
    rules.rule("get_service_provider", rules.ANYONE),
    key="service_providers",
)
def index(ctx: Context) -> Page[ServiceProviderView]:
    """List what provides services."""
    ctx.allow()
    return Page(
        [ServiceProviderView(service_type="L3_ROUTER_NAT", name="single_node", default=True)]
    )
