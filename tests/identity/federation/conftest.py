"""Clouds that trust a front-end."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.cloud import Local
from tests.conftest import CHEAP, Databases
from tests.identity.federation.partners import SETTINGS

Trusting = Callable[[], Local]


@pytest.fixture(scope="module")
def make_trusting(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases
) -> Iterator[Trusting]:
    """Makes clouds whose settings name a front-end's secret and a dashboard."""
    with ExitStack() as stack:

        def make() -> Local:
            url = stack.enter_context(databases.fresh())
            folder = tmp_path_factory.mktemp("federation")
            (folder / "onestack.toml").write_text(SETTINGS)
            cloud = Local(folder, {**CHEAP, "ONESTACK_CLOUD_DATABASE": url})
            stack.callback(cloud.close)
            return cloud

        yield make


@pytest.fixture(scope="module")
def trusting(make_trusting: Trusting) -> Local:
    """One such cloud for all tests of a module."""
    return make_trusting()
