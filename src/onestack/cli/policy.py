"""`onestack policy`: the rules in force, and which of them an operator wrote."""

from pathlib import Path

import click

from onestack.cli import folder as folders
from onestack.cli import output
from onestack.cli.errors import Failure
from onestack.cli.folder import Folder

COLUMNS = ("service", "rule", "check", "scopes", "source")


@click.group()
def command() -> None:
    """Show who may do what."""


@command.command("list")
@folders.data_option
@click.option("--service", help="Rules of this service only.")
@click.option("--overridden", is_flag=True, help="Rules that policy.yaml changes only.")
@output.output_option
def list_rules(data: Path | None, service: str | None, overridden: bool, form: str) -> None:
    """List every rule, with the check in force.

    What the data folder's policy.yaml says wins over what the services declare.
    """
    shown = [
        row
        for row in _rules(folders.chosen(data))
        if service in (None, row["service"]) and (row["source"] != "default" or not overridden)
    ]
    output.rows(shown, COLUMNS, form)


def _rules(folder: Folder) -> list[dict[str, str]]:
    from onestack import main
    from onestack.core.policy import PolicyError

    services = main.services()
    owner = {rule.name: name for name, service in services.items() for rule in service.rules}
    shared = {rule: name for name, service in services.items() for rule in service.shared_rules}
    try:
        policy = main.policy(folder.policy)
    except PolicyError as error:
        raise Failure(
            f"{folder.policy} cannot be used", why=str(error), next_step="mend it, or move it away"
        ) from None
    return [
        {
            "service": owner.get(rule.name) or shared.get(rule.name) or "-",
            "rule": rule.name,
            "check": check or "(everyone)",
            "scopes": " ".join(sorted(rule.scopes)),
            "source": folder.policy.name if is_overridden else "default",
        }
        for rule, check, is_overridden in policy.items()
    ]
