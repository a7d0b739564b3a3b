"""The composition root: which services, drivers and transports this process holds."""

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterator, Mapping
from functools import partial
from pathlib import Path
from socket import gethostname
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from onestack import compute, hosts, identity, image, network, placement, volume
from onestack.core import (
    agents,
    config,
    doorbell,
    drift,
    event,
    flow_record,
    log,
    observe,
    seal,
    upkeep,
)
from onestack.core.agent import Agent
from onestack.core.api import Service
from onestack.core.bus import Bus, Local, Transport
from onestack.core.context import Cloud
from onestack.core.db import Database
from onestack.core.engine import BusAgents, Engine
from onestack.core.flow import Flow
from onestack.core.http import Application, Limits
from onestack.core.policy import Policy
from onestack.core.schema import ensure_schema
from onestack.core.seal import Seal
from onestack.core.server import Server
from onestack.core.server import server as http_server
from onestack.core.telemetry import Telemetry
from onestack.core.worker import Worker
from onestack.furnish import Furnisher, Guest

SERVICES: tuple[Service, ...] = (
    observe.SERVICE,
    identity.SERVICE,
    placement.SERVICE,
    image.SERVICE,
    network.SERVICE,
    volume.SERVICE,
    compute.SERVICE,
)
OFFERS = (
    identity.Offer("identity", "keystone", "/identity"),
    identity.Offer("placement", "placement", "/placement"),
    identity.Offer("image", "glance", "/image"),
    identity.Offer("network", "neutron", "/network"),
    identity.Offer("volumev3", "cinderv3", "/volume/v3"),
    identity.Offer("compute", "nova", "/compute/v2.1"),
)
ROLES = ("api", "worker", "agent")
GUEST_USER = "onestack"
POLICY_FILE = "policy.yaml"


class CloudSettings(msgspec.Struct, frozen=True):
    """What concerns the whole cloud: [cloud] in the settings file."""

    database: str = ""
    bus: str = "local"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    body_bytes: Annotated[int, Meta(ge=1024, le=1 << 30)] = 1 << 20
    threads: Annotated[int, Meta(ge=1, le=1024)] = 32
    stream_threads: Annotated[int, Meta(ge=1, le=1024)] = 16
    otlp_endpoint: str = ""
    internal_url: str = ""  # where hosts reach the control plane; default: where it listens


CONTRACTS: tuple[type, ...] = (
    image.StoreUpkeep,
    network.Switch,
    volume.Backend,
    compute.Hypervisor,
)
NOTIFICATIONS = "notifications"
DOORBELLS = (flow_record.DOORBELL, event.DOORBELL)

SECTIONS: dict[str, type[msgspec.Struct]] = {
    "cloud": CloudSettings,
    "identity": identity.IdentitySettings,
    "image": image.ImageSettings,
    "compute": compute.ComputeSettings,
    "agent": hosts.AgentSettings,
}


def services() -> dict[str, Service]:
    """Every service by name."""
    return {service.name: service for service in SERVICES}


def build(
    data: Path,
    base_url: str,
    environ: Mapping[str, str],
    *,
    durable: bool = True,
) -> Cloud:
    """Wire a cloud whose data lives in a folder: settings, database, keys, first accounts."""
    cloud = Cloud()
    settings = read_settings(cloud, data / "onestack.toml", environ)
    cloud.put(Telemetry(settings.otlp_endpoint))
    database = Database(database_url(settings, data), durable=durable)
    cloud.put(database)
    cloud.put(policy(data / POLICY_FILE))
    cloud.put(observe.Services(SERVICES))
    identity.wire(cloud, data / hosts.KEYS_FOLDER, {"ldap": _ldap})
    placement.wire(cloud)
    _flows(cloud, data)
    cloud.put(seal.of_file(data / hosts.KEYS_FOLDER / "cloud"))
    _images(cloud, data / "images", settings.internal_url or base_url)
    cloud.put(drift.Inspections())
    for service in (network, volume, compute):
        service.wire(cloud)
    listeners = {
        "switch": network.host_reported,
        "backend": volume.host_reported,
        "hypervisor": compute.host_reported,
    }
    cloud.put(agents.Registry(database, listeners))
    cloud.put(Agent(cloud.get(Bus), hosts.posts(cloud.get(hosts.AgentSettings), data, base_url)))
    ensure_schema(database)
    log.info("the database has the newest schema", database=database.engine.dialect.name)
    _bootstrap(cloud, data, base_url)
    return cloud


def build_agent(data: Path, environ: Mapping[str, str]) -> Cloud:
    """Wire a host that only does what it is asked to: it has no database."""
    cloud = Cloud()
    settings = read_settings(cloud, data / "onestack.toml", environ)
    cloud.put(Telemetry(settings.otlp_endpoint))
    cloud.put(Bus(_transport(settings.bus)))
    cloud.put(Agent(cloud.get(Bus), hosts.posts(cloud.get(hosts.AgentSettings), data, "")))
    return cloud


def database_url(settings: CloudSettings, data: Path) -> str:
    """Where the rows are: in the data folder, unless the settings say elsewhere."""
    return settings.database or f"sqlite:///{data}/database.sqlite"


def read_settings(cloud: Cloud, path: Path, environ: Mapping[str, str]) -> CloudSettings:
    """Put every section's settings into the cloud."""
    content = config.read(path)
    config.known_sections(content, set(SECTIONS))
    for name, kind in SECTIONS.items():
        cloud.put(config.section(kind, name, content, environ))
    return cloud.get(CloudSettings)


def policy(path: Path) -> Policy:
    """The rules of all services, with the operator's overrides."""
    rules = [rule for service in SERVICES for rule in service.rules]
    shared: dict[str, str] = {}
    for service in SERVICES:
        for name, text in service.shared_rules.items():
            if shared.setdefault(name, text) != text:
                raise ValueError(f"two services mean different things by the rule {name}")
    return Policy.load(rules, path, shared) if path.exists() else Policy(rules, named=shared)


def application(cloud: Cloud) -> Application:
    """The HTTP side of a cloud."""
    settings = cloud.get(CloudSettings)
    limits = Limits(
        body_bytes=settings.body_bytes,
        threads=settings.threads,
        stream_threads=settings.stream_threads,
    )
    return Application(cloud, SERVICES, limits)


def serve(
    data: Path,
    *,
    listen: str,
    port: int,
    roles: tuple[str, ...] = (),
    ephemeral: bool = False,
) -> None:
    """Answer until told to stop."""
    data.mkdir(parents=True, exist_ok=True)
    base_url = f"http://{'127.0.0.1' if listen in ('0.0.0.0', '::') else listen}:{port}"  # noqa: S104
    log.configure("info")
    chosen = frozenset(roles or ROLES)
    if chosen == {"agent"}:
        _serve_agent(build_agent(data, os.environ))
        return
    cloud = build(data, base_url, os.environ, durable=not ephemeral)
    log.configure(cloud.get(CloudSettings).log_level)
    server = http_server(application(cloud), listen, port) if "api" in chosen else None
    factory = server.config.get_loop_factory() if server is not None else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(cloud, server, chosen, data))
    close(cloud)
    log.flush()


def close(cloud: Cloud) -> None:
    """Give back what a cloud holds."""
    identity.unwire(cloud)
    cloud.get(Bus).close()
    cloud.get(Database).close()
    cloud.get(Telemetry).close()


def _flows(cloud: Cloud, data: Path) -> None:
    """The bus, the engine that asks agents over it, and the publisher of events."""
    bus = Bus(_transport(cloud.get(CloudSettings).bus))
    cloud.put(bus)
    database = cloud.get(Database)
    flows: tuple[type[Flow[Any]], ...] = (
        upkeep.forget_old_events,
        *identity.flows(cloud.get(identity.IdentitySettings), data / hosts.KEYS_FOLDER),
        *image.FLOWS,
        *network.FLOWS,
        *volume.FLOWS,
        *compute.FLOWS,
    )
    cloud.put(Engine(database, BusAgents(bus, CONTRACTS), flows, cloud=cloud))

    def notify(happened: event.Event) -> None:
        bus.notify(NOTIFICATIONS, msgspec.json.encode(happened))

    cloud.put(event.Publisher(database, {NOTIFICATIONS: notify}))


def _transport(url: str) -> Transport:
    if url == "local":
        return Local()
    from onestack.core.bus_rabbit import Rabbit

    return Rabbit(url)


def _images(cloud: Cloud, folder: Path, url: str) -> None:
    """Where images' data is kept."""
    from onestack.image.drivers.files import FileStore

    store = FileStore(folder)
    image.wire(cloud, store, url, cloud.get(Seal))
    image.serve(cloud.get(Bus), store)


def _ldap(options: Mapping[str, Any]) -> Any:
    # Only a cloud that has such a directory loads what reads it.
    from onestack.identity.drivers.ldap import LdapDirectory

    return LdapDirectory(options)


def _bootstrap(cloud: Cloud, data: Path, base_url: str) -> None:
    """Make the first accounts, and leave their passwords where only this user reads them."""
    settings = cloud.get(identity.IdentitySettings)
    url = settings.public_url or base_url
    path = data / "admin.json"
    with cloud.get(Database).transaction() as session:
        made = identity.bootstrap(session, settings, url, OFFERS)
        compute.bootstrap(session)
        if made:
            _write_accounts(path, url, made)  # before the commit: a password is never lost
            log.info("made the first accounts", users=[account.user for account in made])


def _write_accounts(path: Path, url: str, accounts: list[identity.Account]) -> None:
    by_name: dict[str, Any] = {
        account.user: {
            "auth_url": f"{url}/identity/v3",
            "username": account.user,
            "password": account.password,
            "project_name": account.project,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }
        for account in accounts
    }
    temporary = path.with_suffix(".new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(by_name)) + b"\n")
    temporary.rename(path)


def _serve_agent(cloud: Cloud) -> None:
    """Do what the control plane asks until told to stop."""
    log.configure(cloud.get(CloudSettings).log_level)

    async def run() -> None:
        reporting = asyncio.create_task(cloud.get(Agent).run())
        await _until_told_to_stop()
        reporting.cancel()
        # Ends a report that waits for a control plane that is down.
        await asyncio.to_thread(cloud.get(Bus).close)
        await asyncio.gather(reporting, return_exceptions=True)

    asyncio.run(run())
    cloud.get(Telemetry).close()
    log.flush()


async def _serve(cloud: Cloud, server: Server | None, roles: frozenset[str], data: Path) -> None:
    """Run this process's roles until it is told to stop."""
    tasks: list[asyncio.Task[None]] = []

    def begin() -> None:
        tasks.extend(map(asyncio.create_task, _work(cloud, server, roles, data)))

    with doorbell.carried(cloud.get(Database), cloud.get(Bus), DOORBELLS):
        try:
            if server is None:
                begin()
                await _until_told_to_stop()
            else:
                server.begin = begin
                await server.serve()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _work(
    cloud: Cloud, server: Server | None, roles: frozenset[str], data: Path
) -> Iterator[Coroutine[Any, Any, None]]:
    """What goes on beside the answering of requests."""
    if server is not None:
        guest = Guest(hosts.guest_folder() / "disk.qcow2", GUEST_USER)
        app: Any = server.config.app
        yield Furnisher(app, data, guest, partial(identity.first_token, cloud)).furnish()
    if "agent" in roles:
        yield cloud.get(Agent).run()
    if "worker" in roles:
        # Only one process at a time has these roles on this folder.
        name = f"{gethostname()} {data.resolve()} {' '.join(sorted(roles))}"
        yield Worker(cloud.get(Engine), name).serve()
        yield event.serve(cloud.get(event.Publisher))
        yield asyncio.to_thread(_answer_rings, cloud)


def _answer_rings(cloud: Cloud) -> None:
    """Hear of agents, and wake this process's worker and publisher when other processes have work
    for them; waits for a broker that is slow to come."""
    cloud.get(Bus).serve(agents.ROSTER_ADDRESS, cloud.get(agents.Registry), agents.Roster)
    bells = (cloud.get(Engine).ring, cloud.get(event.Publisher).bell.ring)
    for name, ring in zip(DOORBELLS, bells, strict=True):
        cloud.get(Bus).answer_ring(name, ring)


async def _until_told_to_stop() -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
