"""Import an image: examine data that was staged, and let the image be used if it is good."""

from typing import Any
from uuid import UUID

from onestack.core import clock, event
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict
from onestack.core.flow import Ask, Failure, Flow, Next, step
from onestack.core.shapes import UNSET, Shape, UnsetType
from onestack.image import rules
from onestack.image.images import access
from onestack.image.images.events import payload
from onestack.image.images.record import ImageRecord, touch
from onestack.image.images.upload import activate
from onestack.image.store import UPKEEP_ADDRESS, Examined, StoreSlot, StoreUpkeep
from onestack.image.tasks import ImageTaskRecord

api = Operations("image import")

METHODS = ("glance-direct",)
EXAMINATION_TIMEOUT_S = 3600.0


class UnknownMethod(BadRequest):
    message = "Unknown import method name '{name}'."


class StoresTwice(BadRequest):
    message = (
        "all_stores parameter can't be used with x-image-meta-store header or stores parameter"
    )


class UnknownStore(Conflict):
    message = "Store for image_id {image_id} not found: {store}"


class ActiveAlready(Conflict):
    message = "Image with status active cannot be target for import"


class NotStaged(Conflict):
    message = "Image needs to be staged before '{method}' method can be used"


class FormatMissing(Conflict):
    message = "'{name}' needs to be set before import"


class ImageGone(Conflict):
    message = "The image was deleted while it was imported."


class ImportMethod(Shape):
    """How the data came to be here."""

    name: str


class ImportBody(Shape):
    """Which data is imported, and where to."""

    method: ImportMethod
    stores: list[str] | UnsetType = UNSET
    all_stores: bool = False
    all_stores_must_succeed: bool = True


class ImportMethods(Shape):
    """The methods that there are."""

    value: list[str]
    description: str = "Import methods available."
    type: str = "array"


class ImportInformation(Shape, rename={"import_methods": "import-methods"}):
    """What can be imported."""

    import_methods: ImportMethods


class ImportImage(Flow[ImageTaskRecord]):
    """Have the store examine what was staged; the image waits for data again if it is not good."""

    deadline_s = 4 * EXAMINATION_TIMEOUT_S

    name: str  # of the data, which is what is imported, whatever is staged meanwhile

    @step()
    def examine(self) -> Next:
        image = self._image()
        if image is None:
            raise ImageGone
        self.subject.status = "processing"
        asked = {
            "name": self.name,
            "disk_format": image.disk_format,
            "container_format": image.container_format,
        }
        return Ask(
            UPKEEP_ADDRESS, StoreUpkeep.examine, asked, then=self.use,
            timeout_s=EXAMINATION_TIMEOUT_S,
        )  # fmt: skip

    @step()
    def use(self, examined: Examined) -> Next:
        image = self._image()
        if image is None:
            raise ImageGone
        activate(self.session, image, examined)
        self.subject.result = {"image_id": image.id}
        self.subject.end("success")
        return None

    def failed(self, failure: Failure) -> None:
        self.subject.end("failure", failure.text)
        image = self._image()
        if image is None:
            return
        # The data, which nothing refers to any more, is cleared away by upkeep.
        image.status, image.data, image.size = "queued", None, None
        image.failed_import = self.cloud.get(StoreSlot).store.name
        touch(image)
        event.emit(self.session, "image.import.error", payload(image), image.owner, image.id)

    def _image(self) -> ImageRecord | None:
        image = self.session.get(ImageRecord, self.subject.image_id, with_for_update=True)
        return image if image is not None and image.data == self.name else None


@api.get("/v2/info/import", rules.rule("get_stores", rules.ANYONE))
def information(_ctx: Context) -> ImportInformation:
    """Show how images can be imported."""
    return ImportInformation(import_methods=ImportMethods(value=list(METHODS)))


@api.post(
    "/v2/images/{image_id}/import",
    rules.rule("modify_image", rules.WRITE),
    status=202,
)
def import_image(ctx: Context, image_id: str, body: ImportBody) -> None:
    """Import an image's data, which was staged."""
    image = access.owned(ctx, image_id)
    store = ctx.cloud.get(StoreSlot).store.name
    _check(ctx, image, body, store)
    task = _task(ctx, image, body)
    ctx.session.add(task)
    ImportImage.start(ctx.session, task, name=image.data)
    image.status, image.failed_import = "importing", ""
    touch(image)


def _check(ctx: Context, image: ImageRecord, body: ImportBody, store: str) -> None:
    if body.method.name not in METHODS:
        raise UnknownMethod(name=body.method.name[:80])
    named = ctx.request.headers.get("x-image-meta-store")
    wanted = [] if body.stores is UNSET else body.stores
    if body.all_stores and (wanted or named):
        raise StoresTwice
    for each in wanted or ([named] if named else []):
        if each != store:
            raise UnknownStore(image_id=image.id, store=each[:80])
    if image.status == "active":
        raise ActiveAlready
    if image.status != "uploading" or image.upload_seen_at is not None:
        raise NotStaged(method=body.method.name)
    for name in ("container_format", "disk_format"):
        if not getattr(image, name):
            raise FormatMissing(name=name)


def _task(ctx: Context, image: ImageRecord, body: ImportBody) -> ImageTaskRecord:
    now = clock.now()
    asked: dict[str, Any] = {
        "method": {"name": body.method.name},
        "all_stores": body.all_stores,
        "all_stores_must_succeed": body.all_stores_must_succeed,
    }
    if body.stores is not UNSET:
        asked["stores"] = body.stores
    store = ctx.cloud.get(StoreSlot).store.name
    return ImageTaskRecord(
        id=str(UUID(clock.new_id())), type="api_image_import", status="pending",
        image_id=image.id, owner=image.owner, user_id=ctx.caller.user_id,
        request_id=ctx.request_id, created_at=now, updated_at=now, message="",
        input={"image_id": image.id, "import_req": asked, "backend": [store]},
    )  # fmt: skip
