"""Numbers that only grow, for the whole cloud and without regard to clocks."""

from sqlalchemy import Connection, text

_DRAW = text(
    "INSERT INTO revisions (topic, value) VALUES (:topic, :count) "
    "ON CONFLICT (topic) DO UPDATE SET value = revisions.value + :count RETURNING value"
)


def draw(connection: Connection, name: str, count: int = 1) -> int:
    """The last of `count` fresh numbers; whoever draws later, in any process, draws higher."""
    last: int = connection.execute(
        _DRAW, {"topic": f"sequence.{name}", "count": count}
    ).scalar_one()
    return last
