"""Placement, asked by the administrator."""

import pytest

from tests.cloud import Local
from tests.placement.cloud import Placement


@pytest.fixture
def placement(local: Local) -> Placement:
    """The run's one placement; a test names what it makes uniquely."""
    return Placement(local, local.token("admin"))


@pytest.fixture
def own(fresh: Local) -> Placement:
    """A placement that holds nothing else."""
    return Placement(fresh, fresh.token("admin"))
