"""Which stores there are."""

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.shapes import Shape
from onestack.image import rules
from onestack.image.store import StoreSlot

api = Operations("stores")


class StoreView(Shape):
    """A store that images' data can be kept in."""

    id: str
    default: str = "true"
    description: str = "Where the data of all images is kept"


@api.get("/v2/info/stores", rules.rule("get_stores", rules.ANYONE), key="stores")
def index(ctx: Context) -> list[StoreView]:
    """List the stores."""
    return [StoreView(id=ctx.cloud.get(StoreSlot).store.name)]
