"""A cloud's settings and database, opened from its folder without a server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from onestack.cli.errors import Failure, NotRunning
from onestack.cli.folder import Folder

if TYPE_CHECKING:
    from onestack.core.context import Cloud
    from onestack.core.db import Database


def read(folder: Folder) -> "Cloud":
    """Every section of the settings, from the folder's file and the environment."""
    from onestack import main
    from onestack.core.config import ConfigError
    from onestack.core.context import Cloud

    cloud = Cloud()
    try:
        main.read_settings(cloud, folder.settings, os.environ)
    except ConfigError as error:
        raise Failure(
            "the settings cannot be used", why=str(error), next_step=f"mend {folder.settings}"
        ) from None
    return cloud


def database_url(folder: Folder) -> str:
    """Where the cloud's rows are."""
    from onestack import main

    return main.database_url(read(folder).get(main.CloudSettings), folder.path)


@contextmanager
def database(folder: Folder) -> Iterator["Database"]:
    """The cloud's database, which must be there already."""
    from sqlalchemy.exc import OperationalError

    from onestack.core.db import Database

    url = database_url(folder)
    if url.startswith("sqlite") and not (folder.path / "database.sqlite").exists():
        raise NotRunning(
            f"there is no database in {folder.path} yet",
            next_step=f"onestack up{folder.option}",
        )
    opened = Database(url)
    try:
        yield opened
    except OperationalError as error:
        raise Failure(
            "the database could not do that",
            why=str(error.orig).strip(),
            next_step=f"onestack doctor{folder.option}",
        ) from None
    finally:
        opened.close()
