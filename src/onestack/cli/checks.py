"""What `onestack doctor` looks at: one function for each check."""

import os
import resource
import shutil
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from onestack.cli import client, clouds_yaml, engines, keys, ports, process, settings
from onestack.cli import db as schema
from onestack.cli.folder import Folder
from onestack.core import clock as core_clock

PYTHON = (3, 11)
DISK_FAIL_MB, DISK_WARN_MB = 100, 1000
OPEN_FILES = 1024
REACH_S = 3.0
CLOCK_EPOCH_S = 1_735_689_600  # the start of 2025: onestack is younger, so no clock can be earlier
AMQP_PORT = 5672
DRIFT_SHOWN = 20


class Finding(msgspec.Struct, frozen=True):
    """What a check found; `mend` is what to do about it."""

    name: str
    state: str
    finding: str
    mend: str = ""


def ok(name: str, finding: str) -> Finding:
    return Finding(name, "ok", finding)


def warn(name: str, finding: str, mend: str) -> Finding:
    return Finding(name, "warn", finding, mend)


def fail(name: str, finding: str, mend: str) -> Finding:
    return Finding(name, "fail", finding, mend)


def python(_folder: Folder) -> Finding:
    """The interpreter is one that onestack is written for."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < PYTHON:
        wanted = ".".join(map(str, PYTHON))
        return fail("python", version, f"install Python {wanted} or newer, then: make up")
    return ok("python", version)


def data_folder(folder: Folder) -> Finding:
    """The folder is there, is ours, and is closed to others."""
    name = "data folder"
    if not folder.path.is_dir():
        return warn(name, f"{folder.path} does not exist yet", f"onestack up{folder.option}")
    if not os.access(folder.path, os.R_OK | os.W_OK | os.X_OK):
        return fail(name, f"{folder.path} may not be written", f"chown -R $(id -u) {folder.path}")
    if folder.path.stat().st_mode & 0o077:
        return warn(name, f"{folder.path} is open to other users", f"chmod 0700 {folder.path}")
    return ok(name, str(folder.path))


def disk_space(folder: Folder) -> Finding:
    """There is room for the database and the log."""
    place = next(path for path in (folder.path, *folder.path.parents) if path.exists())
    free_mb = shutil.disk_usage(place).free >> 20
    said = f"{free_mb} MB are free at {place}"
    mend = f"free some space, or move {folder.path} to a larger disk"
    if free_mb < DISK_FAIL_MB:
        return fail("disk space", said, mend)
    return warn("disk space", said, mend) if free_mb < DISK_WARN_MB else ok("disk space", said)


def secrets(folder: Folder) -> Finding:
    """Only this user reads keys and passwords."""
    suspects = [*folder.path.glob("*openrc"), folder.admin, folder.clouds]
    suspects += [path for path in folder.keys.rglob("*") if path.is_file()]
    opened = [p for p in suspects if p.exists() and p.stat().st_mode & 0o077 and _is_secret(p)]
    if opened:
        mend = f"chmod go= {' '.join(map(str, opened))}"
        return fail("secrets", f"{len(opened)} files are open to other users", mend)
    return ok("secrets", "closed to other users")


def token_keys(folder: Folder) -> Finding:
    """There is a key that encrypts tokens, and one staged for after it."""
    from onestack.identity import IdentitySettings

    name = "token keys"
    if not folder.keys.is_dir():
        return warn(name, "there are none yet", f"onestack up{folder.option}")
    chosen = settings.read(folder).get(IdentitySettings)
    if chosen.token_provider != "fernet":  # noqa: S105 - a kind of token, no secret
        return ok(name, f"tokens are signed ({chosen.token_provider})")
    found = {row["state"]: row for row in keys.fernet_keys(folder)}
    missing = {"primary", "staged"} - found.keys()
    if missing:
        mend = f"onestack keys rotate{folder.option}"
        return fail(name, f"there is no {' and no '.join(sorted(missing))} key", mend)
    age_s = found["primary"]["age_s"]
    said = f"the primary key is {age_s // 86400} days old"
    if chosen.fernet_rotation_s and age_s > 2 * chosen.fernet_rotation_s:
        return warn(name, said, f"onestack keys rotate{folder.option}")
    return ok(name, said)


def server(folder: Folder) -> Finding:
    """What runs is healthy; what does not run could have its port."""
    running = process.api_server(folder)
    if running is not None:
        if client.is_healthy(running.url):
            return ok("server", f"healthy at {running.url} (pid {running.pid})")
        mend = f"onestack logs{folder.option}, then onestack down and onestack up{folder.option}"
        return fail("server", f"pid {running.pid} does not answer at {running.url}", mend)
    listen, port = ports.DEFAULT_LISTEN, ports.DEFAULT_PORT
    with suppress(OSError, ValueError):
        listen, text = folder.address.read_text().split()
        port = int(text)
    if ports.problem_with(listen, port):
        taken = f"does not run, and {listen}:{port} is taken by {ports.holder(port) or 'another'}"
        return warn("server", taken, f"onestack up{folder.option} --port N")
    return ok("server", f"does not run; {listen}:{port} is free")


def database(folder: Folder) -> Finding:
    """The database answers, and is at the newest revision."""
    url = settings.database_url(folder)
    if url.startswith("sqlite") and not (folder.path / "database.sqlite").exists():
        return warn("database", "there is none yet", f"onestack up{folder.option}")
    found = schema.revisions(folder)
    if found["current"] != found["newest"]:
        said = f"at revision {found['current'] or 'none'}, the newest is {found['newest']}"
        return fail("database", said, f"onestack db upgrade{folder.option}")
    kind = "SQLite" if url.startswith("sqlite") else "PostgreSQL"
    return ok("database", f"{kind}, at revision {found['current']}")


def bus(folder: Folder) -> Finding:
    """RabbitMQ is reachable when it is asked for."""
    from onestack.main import CloudSettings

    url = settings.read(folder).get(CloudSettings).bus
    if url == "local":
        return ok("bus", "within the process")
    parts = urlsplit(url)
    place = (parts.hostname or "localhost", parts.port or AMQP_PORT)
    try:
        socket.create_connection(place, REACH_S).close()
    except OSError as error:
        mend = f"start RabbitMQ there, or change [cloud] bus in {folder.settings}"
        return fail("bus", f"{place[0]}:{place[1]} does not answer: {error}", mend)
    return ok("bus", f"RabbitMQ at {place[0]}:{place[1]}")


def clock(folder: Folder) -> Finding:
    """The clock is plausible: tokens are only as good as the time is."""
    newest = max((path.stat().st_mtime for path in (folder.log, folder.admin) if path.exists()),
                 default=0.0)  # fmt: skip
    now = core_clock.now()
    now_s = now.replace(tzinfo=UTC).timestamp()
    if now_s < max(CLOCK_EPOCH_S, newest - 60):
        mend = "set the clock: timedatectl set-ntp true"
        return fail("clock", "the clock is behind what was written earlier", mend)
    return ok("clock", f"{now.isoformat(timespec='seconds')}Z")


def clients(folder: Folder) -> Finding:
    """The user's clouds.yaml is readable and holds this cloud."""
    name, path = "clouds.yaml", clouds_yaml.location()
    if folder.is_ephemeral:
        return ok(name, f"{folder.clouds} (an ephemeral cloud is in no other)")
    known = clouds_yaml.names(folder)
    problem = clouds_yaml.problem(path)
    if problem:
        return fail(name, problem, f"mend {path}; what onestack would add is in {folder.clouds}")
    if not known:
        return warn(name, f"{path} does not hold this cloud", f"onestack up{folder.option}")
    hidden = clouds_yaml.conflicts(path)
    if hidden:
        return warn(name, hidden[0], "merge the two files, or set OS_CLIENT_CONFIG_FILE")
    return ok(name, f"{' and '.join(known)} in {path}")


def open_files(_folder: Folder) -> Finding:
    """A connection is a file: the limit must leave room for many."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= limit < OPEN_FILES:
        mend = f"ulimit -n {4 * OPEN_FILES}, then onestack down and onestack up"
        return warn("open files", f"at most {limit}", mend)
    return ok("open files", f"at most {limit}")


def host_engines(_folder: Folder) -> Finding:
    """The host's programs that real drivers need."""
    missing = engines.missing()
    if missing:
        names = ", ".join(engine.name for engine in missing)
        return warn("engines", f"simulated for want of: {names}", engines.remedy(missing))
    return ok("engines", "nothing is missing")


def drift(folder: Folder) -> Finding:
    """What hosts have is what the cloud's rows say."""
    server = process.api_server(folder)
    if server is None:
        return ok("drift", "the cloud does not run, so nothing is compared")
    token = client.admin_token(server, folder)
    found = client.get(f"{server.url}/onestack/v1/drift", token)["disagreements"]
    if not found:
        return ok("drift", "servers, networks and volumes are what they should be")
    shown = [f"{each['kind']} {each['subject']} on {each['host']}: {each['text']}"
             for each in found]  # fmt: skip
    mend = "\n".join(dict.fromkeys(f"{each['kind']}: {each['mend']}" for each in found))
    return fail("drift", "; ".join(shown[:DRIFT_SHOWN]), mend)


ALL: tuple[Callable[[Folder], Finding], ...] = (
    python, data_folder, disk_space, open_files, clock, secrets, token_keys, database, bus,
    server, clients, host_engines, drift,
)  # fmt: skip


def _is_secret(path: Path) -> bool:
    """Whether a file must be closed; public keys are for everyone."""
    return path.parent.name != "public" and path.name != ".lock"
