"""`onestack up`: start a cloud, wait until it is healthy, and say how to use it."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import msgspec

from onestack import __version__
from onestack.cli import accounts, client, clouds_yaml, logs, ports, process
from onestack.cli import folder as folders
from onestack.cli.errors import Failure
from onestack.cli.folder import Folder
from onestack.cli.output import document, output_option, program_name
from onestack.cli.process import Server
from onestack.core import clock

PATIENCE_S = 90.0
POLL_S = 0.02
STOP_S = 10.0
TAIL_LINES = 8
DRIVERS = "ONESTACK_AGENT_DRIVERS"

Child = subprocess.Popen[bytes]


class Progress(msgspec.Struct):
    """Says what happens, with the seconds since the start, beside the output that is asked for."""

    began: float = msgspec.field(default_factory=clock.monotonic)

    def say(self, text: str) -> None:
        click.echo(f"{clock.monotonic() - self.began:7.2f} s  {text}", err=True)


class Wish(msgspec.Struct, frozen=True):
    """What the command line asks for; an address that is None is left to us."""

    listen: str | None
    port: int | None
    foreground: bool
    ephemeral: bool
    drivers: str | None


@click.command()
@folders.data_option
@click.option(
    "--listen",
    metavar="ADDRESS",
    help=f"Where to listen.  [default: as before, else {ports.DEFAULT_LISTEN}]",
)
@click.option(
    "--port",
    type=ports.PORT,
    help=f"Which port; every service answers on it.  [default: as before, else "
    f"{ports.DEFAULT_PORT}; for an ephemeral cloud, a free one]",
)
@click.option(
    "--foreground",
    is_flag=True,
    help="Stay here and show the log (-o json: as it stands in the file); Ctrl-C stops it.",
)
@click.option("--ephemeral", is_flag=True, help="Keep nothing: its folder goes when it stops.")
@click.option(
    "--drivers",
    type=click.Choice(["auto", "real", "simulated", "none"]),
    help="What runs servers, networks and volumes here; `none` leaves that to hosts that join.  "
    "[default: as the settings say, else auto; for an ephemeral cloud, simulated]",
)
@output_option
def command(  # noqa: PLR0913, PLR0917 - click gives each option by its name
    data: Path | None, listen: str | None, port: int | None, foreground: bool,
    ephemeral: bool, drivers: str | None, form: str,
) -> None:  # fmt: skip
    """Start a cloud in the background and say how to use it.

    The clouds `onestack` (a project's member) and `onestack-admin` go into your clouds.yaml,
    openrc and admin-openrc into the data folder. A cloud that runs already is left as it is.
    An ephemeral cloud has its clouds.yaml in its own folder.
    """
    wish = Wish(listen, port, foreground, ephemeral, drivers)
    folder = folders.temporary() if ephemeral and data is None else folders.of(data)
    progress = Progress()
    server = _running_already(folder, wish)
    if server is not None:
        click.echo(f"onestack runs already (pid {server.pid}); nothing was changed.", err=True)
        _summary(folder, server, form)
        return
    folder.create(ephemeral)
    with _signals_raise(), _cleaning(folder):
        listen, port = _address(folder, wish)
        ports.check(listen, port)
        place = ["--listen", listen, "--port", str(port)]
        _choose_drivers(folder, wish, progress)
        folder.furnished.unlink(missing_ok=True)
        child, at = process.start(folder, place, dies_with_us=foreground)
        progress.say(f"starting onestack {__version__} on {listen}:{port}, data in {folder.path}")
        with _stopping_on_failure(child):
            server = _wait(folder, child, at, progress)
            if not ephemeral:
                _wait_for_furniture(folder, child, progress)
            _configure_clients(folder, server, progress)
            _summary(folder, server, form)
            if foreground:
                _stay(folder, child, form)


def _running_already(folder: Folder, wish: Wish) -> Server | None:
    """The server that runs on the folder, when it is the one that is asked for."""
    server = process.api_server(folder)
    if server is None:
        return None
    differs = wish.port not in (None, server.port) or wish.listen not in (None, server.listen)
    if differs:
        raise Failure(
            f"a cloud runs on {folder.path} already, at {server.url}",
            why="a cloud has one address at a time",
            next_step=f"onestack down{folder.option}, or another cloud beside it: "
            "onestack up --data DIR --port N",
        )
    deadline = clock.monotonic() + PATIENCE_S
    while not client.is_healthy(server.url):
        server = process.api_server(folder)
        if server is None:
            return None
        if clock.monotonic() > deadline:
            raise Failure(
                f"a server runs on {folder.path} (pid {server.pid}), but it is not healthy",
                next_step=f"onestack logs{folder.option}, then onestack down{folder.option}",
            )
        clock.sleep(POLL_S)
    return server


def _address(folder: Folder, wish: Wish) -> tuple[str, int]:
    """Where to listen: as asked for, as last time, or where clients look first."""
    listen, port = wish.listen, wish.port
    with suppress(OSError, ValueError):
        earlier_listen, earlier_port = folder.address.read_text().split()
        listen = listen or earlier_listen
        port = port or int(earlier_port)
    listen = listen or ports.DEFAULT_LISTEN
    if port is None and wish.ephemeral and ports.problem_with(listen, ports.DEFAULT_PORT):
        port = ports.free(listen)
    return listen, port or ports.DEFAULT_PORT


def _choose_drivers(folder: Folder, wish: Wish, progress: Progress) -> None:
    """Say by the environment what the server is to run with, and have the guest that it offers."""
    usual = "simulated" if wish.ephemeral else "auto"
    chosen = wish.drivers or os.environ.get(DRIVERS) or _settled(folder) or usual
    os.environ[DRIVERS] = chosen
    if chosen == "simulated" or os.geteuid() != 0:
        return
    from onestack.cli import guest

    why = guest.provide()
    if why:
        progress.say(f"warning: the image `tiny` will be empty: {why}")


def _settled(folder: Folder) -> str:
    """The drivers that the settings name."""
    with suppress(OSError, tomllib.TOMLDecodeError):
        return str(tomllib.loads(folder.settings.read_text()).get("agent", {}).get("drivers", ""))
    return ""


def _wait(folder: Folder, child: Child, at: int, progress: Progress) -> Server:
    """Show what the server says of its start until it is healthy."""
    import_module("yaml")  # needed afterwards: now, beside the server's own start, it costs nothing
    deadline = clock.monotonic() + PATIENCE_S
    while clock.monotonic() < deadline:
        at = _show_new_lines(folder, at, progress)
        server = process.api_server(folder)
        if server is not None and client.is_healthy(server.url):
            progress.say(f"healthy (pid {server.pid})")
            return server
        # When another `up` was quicker, our child gives way, and its server is as good as ours.
        if child.poll() is not None and process.api_server(folder) is None:
            raise _died(folder, child)
        clock.sleep(POLL_S)
    raise Failure(
        f"the server is not healthy after {PATIENCE_S:.0f} s",
        why=_last_words(folder),
        next_step=f"onestack logs{folder.option}",
    )


def _wait_for_furniture(folder: Folder, child: Child, progress: Progress) -> None:
    """Let a new cloud get its first image and networks."""
    deadline = clock.monotonic() + PATIENCE_S
    at = folder.log.stat().st_size
    while clock.monotonic() < deadline and child.poll() is None:
        at = _show_new_lines(folder, at, progress)
        if folder.furnished.exists():
            return
        clock.sleep(POLL_S)


def _show_new_lines(folder: Folder, at: int, progress: Progress) -> int:
    content = folder.log.read_bytes()[at:] if folder.log.exists() else b""
    whole, _, _ = content.rpartition(b"\n")
    for line in whole.decode(errors="replace").splitlines():
        entry = logs.parsed(line)
        if entry and entry.get("level") != "debug" and entry["message"] != "request":
            progress.say(str(entry["message"]))
    return at + (len(whole) + 1 if whole else 0)


def _died(folder: Folder, child: Child) -> Failure:
    return Failure(
        f"the server ended while starting (exit code {child.returncode})",
        why=_last_words(folder),
        next_step="onestack doctor" if folder.is_ephemeral else f"onestack doctor{folder.option}",
    )


def _last_words(folder: Folder) -> str:
    """The end of the log: an error that it reports, or whatever stands there."""
    with suppress(OSError):
        lines = logs.last(folder.log, TAIL_LINES, logs.Wanted(level="warning"))
        return "\n       ".join(logs.pretty(line) for line in lines) or "the log says nothing"
    return "there is no log"


def _configure_clients(folder: Folder, server: Server, progress: Progress) -> None:
    found = accounts.entries(folder, server)
    for user, entry in found.items():
        name = "admin-openrc" if user == accounts.ADMIN else "openrc"
        accounts.write_private(folder.path / name, accounts.openrc(entry))
    accounts.write_private(folder.clouds, clouds_yaml.alone(found))
    if folder.is_ephemeral:
        return
    try:
        written = clouds_yaml.add(clouds_yaml.location(), folder, found)
    except (Failure, OSError) as error:
        progress.say(f"warning: {error}; the clouds are in {folder.clouds} only")
        return
    names = " and ".join(written.names)
    done = "are now in" if written.changed else "are in"
    progress.say(f"the clouds {names} {done} {written.path}")
    for hidden in clouds_yaml.conflicts(written.path):
        progress.say(f"warning: {hidden}")


def _summary(folder: Folder, server: Server, form: str) -> None:
    found = accounts.entries(folder, server)
    names = clouds_yaml.names(folder)
    if form == "json":
        document(_facts(folder, server, found, names))
        return
    click.echo(f"\nEndpoint  {next(iter(found.values()))['auth']['auth_url']}")
    for user, entry in found.items():
        auth = entry["auth"]
        rc_file = folder.path / ("admin-openrc" if user == accounts.ADMIN else "openrc")
        click.echo(f"{_title(user)}user {auth['username']}, project {auth['project_name']}; "
                   f"password in {rc_file}")  # fmt: skip
    click.echo(f"Data      {folder.path}\n\nTry:")
    for line in _three_things(folder, names):
        click.echo(f"  {line}")
    click.echo(f"\nStop it with: {program_name()} down{folder.option}")


def _title(user: str) -> str:
    return f"{'Admin' if user == accounts.ADMIN else 'Member':8}  "


def _three_things(folder: Folder, names: tuple[str, str] | None) -> list[str]:
    program = program_name()
    first = [f"{program} launch{folder.option} demo", f"{program} ssh{folder.option} demo"]
    client = _client()
    if client is None:
        member = "openstack --os-cloud onestack server list"
        return [*first, f"pip install python-openstackclient, then: {member}"]
    client_file = "" if names else f"OS_CLIENT_CONFIG_FILE={shlex.quote(str(folder.clouds))} "
    member, _ = names or clouds_yaml.DEFAULT_NAMES
    return [*first, f"{client_file}{client} --os-cloud {member} server list"]


def _client() -> str | None:
    """How to call the openstack client: the one beside this program, or that of the path."""
    beside = Path(program_name()).with_name("openstack")
    if "/" in program_name() and beside.exists():
        return str(beside)
    return "openstack" if shutil.which("openstack") else None


def _facts(
    folder: Folder, server: Server, found: dict[str, accounts.Entry], names: tuple[str, str] | None
) -> dict[str, Any]:
    return {
        "pid": server.pid,
        "url": server.url,
        "auth_url": next(iter(found.values()))["auth"]["auth_url"],
        "data": str(folder.path),
        "ephemeral": folder.is_ephemeral,
        "clouds": list(names or clouds_yaml.DEFAULT_NAMES),
        "clouds_file": str(clouds_yaml.location() if names else folder.clouds),
        "credentials": str(folder.admin),
    }


def _stay(folder: Folder, child: Child, form: str) -> None:
    """Show the log until the server ends or somebody ends us."""
    size = folder.log.stat().st_size

    def is_over() -> bool:
        return child.poll() is not None

    if form == "json":
        for chunk in logs.follow_bytes(folder.log, size, is_over):
            click.echo(chunk, nl=False, err=True)
    else:
        for line in logs.follow(folder.log, size, is_over):
            click.echo(logs.pretty(line), err=True)
    if child.returncode:
        raise _died(folder, child)


@contextmanager
def _stopping_on_failure(child: Child) -> Iterator[None]:
    """A start that fails, or that somebody interrupts, leaves no server behind."""
    try:
        yield
    except BaseException:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(STOP_S)
        child.kill()
        child.wait()
        raise


@contextmanager
def _cleaning(folder: Folder) -> Iterator[None]:
    """An ephemeral cloud that is over leaves no folder behind."""
    try:
        yield
    finally:
        if process.api_server(folder) is None:
            folder.remove_if_ephemeral()


@contextmanager
def _signals_raise() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
