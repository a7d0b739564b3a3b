"""A scenario: what is asked of a cloud, and what must be true in the end, whatever goes wrong."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from onestack.core.context import Cloud
from onestack.core.db import Database, Record
from onestack.core.flow import Flow


class Scenario:
    """Subclass it and put it in `scenarios`; the simulator does the rest.

    What `begin` and `interrupt` do is repeated when the process died before it answered, as a
    client would, so they look first whether it was done.
    """

    flows: Iterable[type[Flow[Any]]]
    can_be_interrupted = False
    asks = True  # whether an agent is asked on the way
    runs = 0  # periodic flows never end: all is at rest when each of them ran so often
    records: Iterable[type[Record]] = ()  # what it keeps in tables of the package
    cloud = Cloud()  # what flows find when they call a facade, where no database is needed for it
    folder: Path | None = None  # where its files are; something may go wrong at each change of one

    def prepare(self, session: Session) -> None:
        """What is there before anything happens, and before anything goes wrong."""

    def wire(self, database: Database) -> Cloud:
        """What flows find when they call a facade; anew for each process."""
        return self.cloud

    def agents(self) -> Mapping[str, object]:
        """Fresh agents, by their address."""
        return {}

    def begin(self, session: Session) -> None:
        """What a user asks first, if anybody asks for anything."""

    def interrupt(self, session: Session) -> None:
        """What another user asks, at any moment after that."""
        raise NotImplementedError

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        """Assert what must be true when everything has come to rest."""
        raise NotImplementedError
