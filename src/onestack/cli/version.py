"""`onestack version`."""

import click

from onestack import __version__
from onestack.cli.output import document, output_option


@click.command()
@output_option
def command(form: str) -> None:
    """Show the version."""
    if form == "json":
        document({"version": __version__})
    else:
        click.echo(f"onestack {__version__}")
