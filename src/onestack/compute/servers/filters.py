"""What a list of servers is filtered and sorted by."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from sqlalchemy import ColumnElement, and_, asc, desc, false, func, not_, or_, select

from onestack.compute.servers import moments
from onestack.compute.servers.record import ServerTagRecord
from onestack.compute.servers.states import states_of
from onestack.core.errors import BadRequest
from onestack.core.shapes import Meta, Shape, field, since

Columns = Any  # of servers, or of servers and of those that are gone
Order = Sequence[tuple[ColumnElement[Any], bool]]  # columns, and whether each descends

REGEX_MAX = 255
QUANTIFIERS_MAX = 4
SORTS_MAX = 8
# By upstream's names, as what their columns are called here.
SORTABLE = {
    "access_ip_v4": "access_ip_v4", "access_ip_v6": "access_ip_v6",
    "auto_disk_config": "disk_config", "availability_zone": "availability_zone",
    "config_drive": "has_config_drive", "created_at": "created_at",
    "display_description": "description", "display_name": "name", "host": "host",
    "hostname": "hostname", "image_ref": "image_id", "instance_type_id": "flavor_id",
    "key_name": "key_name", "launch_index": "launch_index", "launched_at": "launched_at",
    "locked_by": "locked_by", "node": "host", "power_state": "power_state",
    "progress": "progress", "project_id": "project_id", "root_device_name": "root_device_name",
    "task_state": "task_state", "terminated_at": "terminated_at", "updated_at": "updated_at",
    "user_id": "user_id", "uuid": "id", "vm_state": "vm_state",
}  # fmt: skip
# Filters that compare a column with what was given: for everybody, and for administrators (or,
# from 2.83 on, for everybody too).
EXACT = {
    "reservation_id": "reservation_id", "image": "image_id", "flavor": "flavor_id",
    "hostname": "hostname", "uuid": "id",
}  # fmt: skip
SINCE_2_83 = {
    "availability_zone": "availability_zone", "key_name": "key_name", "user_id": "user_id",
    "vm_state": "vm_state", "task_state": "task_state", "power_state": "power_state",
    "progress": "progress",
}  # fmt: skip
FOR_ADMINS = {
    "host": "host", "node": "host", "launch_index": "launch_index", "locked_by": "locked_by",
    "root_device_name": "root_device_name", "access_ip_v4": "access_ip_v4",
    "access_ip_v6": "access_ip_v6",
}  # fmt: skip
NUMBERS = ("power_state", "progress", "launch_index")
TAGS = ("tags", "tags_any", "not_tags", "not_tags_any")


class ServerQuery(Shape):
    """Which servers to list, in which order."""

    limit: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    marker: str | None = None
    sort_key: list[str] | None = None
    sort_dir: list[str] | None = None
    all_tenants: bool | None = None
    all_projects: bool | None = None
    project_id: str | None = None
    tenant_id: str | None = None
    deleted: bool | None = None
    status: list[str] | None = None
    name: str | None = None
    display_name: str | None = None
    description: str | None = None
    display_description: str | None = None
    ip: str | None = None
    ip6: str | None = None
    changes_since: str | None = field(default=None, name="changes-since")
    changes_before: Annotated[str | None, since("2.66")] = field(
        default=None, name="changes-before"
    )
    locked: Annotated[bool | None, since("2.73")] = None
    tags: Annotated[str | None, since("2.26")] = None
    tags_any: Annotated[str | None, since("2.26")] = field(default=None, name="tags-any")
    not_tags: Annotated[str | None, since("2.26")] = field(default=None, name="not-tags")
    not_tags_any: Annotated[str | None, since("2.26")] = field(default=None, name="not-tags-any")
    config_drive: bool | None = None
    reservation_id: str | None = None
    image: str | None = None
    flavor: str | None = None
    hostname: str | None = None
    uuid: str | None = None
    availability_zone: str | None = None
    key_name: str | None = None
    user_id: str | None = None
    vm_state: str | None = None
    task_state: str | None = None
    power_state: str | None = None
    progress: str | None = None
    host: str | None = None
    node: str | None = None
    launch_index: str | None = None
    locked_by: str | None = None
    root_device_name: str | None = None
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None


class BadSortKey(BadRequest):
    message = "Invalid input for query parameters sort_key. Value: {name}."


class BadRegex(BadRequest):
    message = "Invalid filter {text!r}: it is no regular expression, or one that takes too long."


class BadMarker(BadRequest):
    message = "marker [{marker}] not found"


def conditions(
    query: ServerQuery, columns: Columns, *, is_admin: bool, knows_more: bool
) -> list[ColumnElement[bool]]:
    """The filters that were given, but for those on whose servers and on addresses."""
    found: list[ColumnElement[bool]] = []
    exact = {**EXACT, **(SINCE_2_83 if is_admin or knows_more else {})}
    exact |= FOR_ADMINS if is_admin else {}
    for name, column in exact.items():
        value = getattr(query, name)
        if value is not None:
            found.append(_equals(columns[column], name, value))
    found += [_matching(columns, "name", query.name or query.display_name)]
    if is_admin or knows_more:
        text = query.description or query.display_description
        found.append(_matching(columns, "description", text))
        if query.config_drive is not None:
            found.append(columns["has_config_drive"].is_(query.config_drive))
    if query.locked is not None:
        is_locked = columns["locked_by"].is_not(None)
        found.append(is_locked if query.locked else not_(is_locked))
    if query.status:
        found.append(or_(*(_of_status(columns, each) for each in query.status)))
    found += [*_moments(query, columns), *_tagged(query, columns)]
    return [each for each in found if each is not None]


def order(query: ServerQuery, columns: Columns) -> Order:
    """The columns to sort by; the newest come first where nothing else is said."""
    keys, directions = query.sort_key or [], query.sort_dir or []
    if len(keys) > SORTS_MAX:
        raise BadRequest(f"At most {SORTS_MAX} sort keys are allowed.")
    found = []
    for at, key in enumerate(keys):
        if key not in SORTABLE:
            raise BadSortKey(name=key[:80])
        found.append((columns[SORTABLE[key]], _descends(directions, at)))
    if not keys:
        found.append((columns["created_at"], _descends(directions, 0)))
    return [*found, (columns["id"], _descends(directions, len(keys) or 1))]


def sorting(ordered: Order) -> list[ColumnElement[Any]]:
    """How to sort in SQL; what has no value comes last, or first when it descends."""
    parts: list[ColumnElement[Any]] = []
    for column, descends in ordered:
        direct = desc if descends else asc
        parts += [direct(column.is_(None)), direct(column)]
    return parts


def behind(found: Any, ordered: Order) -> ColumnElement[bool]:
    """The rows behind this one in this order."""
    alternatives: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    later: ColumnElement[bool]
    for column, descends in ordered:
        value = getattr(found, str(column.key))
        if value is None:
            later = column.is_not(None) if descends else false()
        else:
            later = column < value if descends else or_(column > value, column.is_(None))
        alternatives.append(and_(*equal, later))
        equal.append(column.is_(None) if value is None else column == value)
    return or_(*alternatives)


def regex(text: str) -> re.Pattern[str]:
    """A regular expression that a client gave, as long as it cannot take long."""
    quantifiers = re.findall(r"(?<!\\)[*+?{]", text)
    is_simple = len(quantifiers) <= QUANTIFIERS_MAX and not re.search(r"\)[*+?{]", text)
    if len(text) > REGEX_MAX or not is_simple:
        raise BadRegex(text=text[:80])
    try:
        return re.compile(text)
    except re.error:
        raise BadRegex(text=text[:80]) from None


def _descends(directions: Sequence[str], at: int) -> bool:
    direction = directions[at] if at < len(directions) else "desc"
    if direction not in ("asc", "desc"):
        raise BadRequest(f"Invalid input for query parameters sort_dir. Value: {direction[:8]}.")
    return direction == "desc"


def _equals(column: Any, name: str, value: str) -> ColumnElement[bool]:
    if name in NUMBERS:
        is_number = value.lstrip("-").isdigit() and len(value) < 10
        return column == int(value) if is_number else false()
    if name in ("task_state", "vm_state") and value.lower() in ("none", "null", ""):
        found: ColumnElement[bool] = column.is_(None)
        return found
    same: ColumnElement[bool] = column == value
    return same


def _matching(columns: Columns, name: str, text: str | None) -> Any:
    """Text that is found by a regular expression, which a plain word is too."""
    if text is None:
        return None
    if re.fullmatch(r"[\w \-]*", text):
        return columns[name].contains(text, autoescape=True)
    return columns[name].regexp_match(regex(text).pattern)


def _of_status(columns: Columns, status: str) -> ColumnElement[bool]:
    """The servers that clients see with this status."""
    alternatives = []
    for vm_state, tasks, is_during in states_of(status.upper()):
        task = func.coalesce(columns["task_state"], "")
        condition = task.in_(tasks) if is_during else task.not_in(tasks)
        alternatives.append(and_(columns["vm_state"] == vm_state, condition))
    return or_(*alternatives) if alternatives else false()


def _moments(query: ServerQuery, columns: Columns) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if query.changes_since is not None:
        moment = moments.read(query.changes_since, "changes-since")
        found.append(columns["updated_at"] >= moment)
    if query.changes_before is not None:
        moment = moments.read(query.changes_before, "changes-before")
        found.append(columns["updated_at"] <= moment)
    return found


def _tagged(query: ServerQuery, columns: Columns) -> list[ColumnElement[bool]]:
    """Servers that have all of some tags, or any, or not all, or none."""
    found: list[ColumnElement[bool]] = []
    for name in TAGS:
        each = [_has_tag(columns, tag) for tag in (getattr(query, name) or "").split(",") if tag]
        if not each:
            continue
        joined = or_(*each) if name.endswith("any") else and_(*each)
        found.append(not_(joined) if name.startswith("not") else joined)
    return found


def _has_tag(columns: Columns, tag: str) -> ColumnElement[bool]:
    tagged = select(ServerTagRecord.server_id).where(ServerTagRecord.tag == tag)
    found: ColumnElement[bool] = columns["id"].in_(tagged)
    return found
