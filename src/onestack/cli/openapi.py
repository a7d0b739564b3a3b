"""`onestack openapi`: a service's OpenAPI document, made without a server."""

import click

from onestack.cli.errors import Failure
from onestack.cli.output import document


@click.command()
@click.argument("service")
@click.option("--version", metavar="V", help="At this microversion.  [default: the newest]")
def command(service: str, version: str | None) -> None:
    """Print a service's OpenAPI document."""
    from onestack import main

    known = main.services()
    if service not in known:
        raise Failure(
            f"there is no service {service!r}", next_step=f"choose one of: {', '.join(known)}"
        )
    try:
        shown = known[service].openapi(version)
    except ValueError as error:
        raise Failure(
            f"{version!r} is no version of {service}", why=str(error),
            next_step=f"onestack openapi {service}",
        ) from None  # fmt: skip
    document(shown)
