"""`onestack keys`: the keys that encrypt or sign tokens, and those for secrets at rest."""

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
    """Look after the keys that encrypt tokens and secrets."""


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
@click.option("--credential", is_flag=True, help="Rotate the key for secrets in the database.")
def rotate(data: Path | None, credential: bool) -> None:
    """Encrypt new tokens with a new key; tokens of the keys kept stay valid.

    With --credential, what is secret in the database is encrypted with a new key: credentials,
    the secrets of OAuth, and passwords for directories. A running cloud takes new keys over by
    itself.
    """
    folder = _with_keys(data)
    from onestack.identity import IdentitySettings

    chosen = settings.read(folder).get(IdentitySettings)
    try:
        said = _rotate_credential_keys(folder, chosen) if credential else _rotate(folder, chosen)
    except OSError as error:
        raise Failure(f"the keys in {folder.keys} cannot be rotated", why=str(error)) from None
    click.echo(said)


def _rotate(folder: Folder, chosen: "IdentitySettings") -> str:
    from onestack import identity

    identity.rotate_token_keys(chosen, folder.keys)
    if chosen.token_provider == "jws":  # noqa: S105 - a kind of token, no secret
        return "new tokens are signed with a new key; the old public keys stay"
    kept = fernet_keys(folder)
    primary = next(row["file"] for row in kept if row["state"] == "primary")
    return f"key {primary} encrypts now; {len(kept)} keys are kept"


def _rotate_credential_keys(folder: Folder, chosen: "IdentitySettings") -> str:
    from onestack import identity

    with settings.database(folder) as database:
        try:
            count = identity.rotate_credential_keys(database, chosen, folder.keys)
        except identity.SecretsUnreadable as error:
            raise Failure(
                "not every secret could be encrypted with the new key, so no old key was dropped",
                why=str(error),
                next_step=f"bring the missing key back to {folder.keys / 'credential'}, or delete "
                "what nobody can read, then rotate again",
            ) from None
    return f"a new key encrypts {count} secrets"


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
