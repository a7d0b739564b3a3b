"""`onestack keys`: the keys that encrypt or sign tokens."""

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onestack.cli import folder as folders
from onestack.cli import output, settings
from onestack.cli.errors import Failure, NotRunning
from onestack.cli.folder import Folder
from onestack.core import clock

if TYPE_CHECKING:
    from onestack.identity import IdentitySettings

STAGED = 0


@click.group()
def command() -> None:
    """Look after the keys that encrypt tokens."""


@command.command("list")
@folders.data_option
@output.output_option
def list_keys(data: Path | None, form: str) -> None:
    """List the Fernet keys: which one encrypts, and how old each is; never the keys themselves."""
    shown = fernet_keys(_with_keys(data))
    for row in shown:
        row["age"] = output.duration(row["age_s"])
    output.rows(shown, ("file", "state", "age", "mode"), form)


@command.command()
@folders.data_option
def rotate(data: Path | None) -> None:
    """Encrypt new tokens with a new key; tokens of the keys kept stay valid.

    A running cloud takes the new keys over by itself.
    """
    folder = _with_keys(data)
    from onestack import identity

    chosen: IdentitySettings = settings.read(folder).get(identity.IdentitySettings)
    try:
        identity.rotate_token_keys(chosen, folder.keys)
    except OSError as error:
        raise Failure(f"the keys in {folder.keys} cannot be rotated", why=str(error)) from None
    if chosen.token_provider == "jws":  # noqa: S105 - a kind of token, no secret
        click.echo("new tokens are signed with a new key; the old public keys stay")
        return
    kept = fernet_keys(folder)
    primary = next(row["file"] for row in kept if row["state"] == "primary")
    click.echo(f"key {primary} encrypts now; {len(kept)} keys are kept")


def fernet_keys(folder: Folder) -> list[dict[str, Any]]:
    """The files of the Fernet keys, the one that encrypts first."""
    files = [path for path in (folder.keys / "fernet").glob("[0-9]*") if path.name.isdigit()]
    numbers = sorted((int(path.name) for path in files), reverse=True)
    now_s = clock.now().replace(tzinfo=UTC).timestamp()
    found = []
    for number in numbers:
        state = "staged" if number == STAGED else "primary" if number == numbers[0] else "old"
        facts = (folder.keys / "fernet" / str(number)).stat()
        age_s = max(0.0, now_s - facts.st_mtime)
        found.append(
            {"file": str(number), "state": state, "age_s": round(age_s),
             "mode": f"{facts.st_mode & 0o777:04o}"}
        )  # fmt: skip
    return found


def _with_keys(data: Path | None) -> Folder:
    folder = folders.chosen(data)
    if not folder.keys.is_dir():
        raise NotRunning(
            f"there are no keys in {folder.path} yet", next_step=f"onestack up{folder.option}"
        )
    return folder
