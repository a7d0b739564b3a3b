"""QoS specs: what volumes of some types are promised, or limited to."""

import datetime as dt
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.api import Operations
from onestack.core.db import Record
from onestack.volume.volumes.record import TOPIC

api = Operations("QoS specs")


class QosSpecsRecord(Record):
    """A set of specs, and who acts on it: the front end, the back end or both."""

    __tablename__ = "volume_qos_specs"
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    consumer: Mapped[str]
    specs: Mapped[dict[str, Any]]
    created_at: Mapped[dt.datetime]
