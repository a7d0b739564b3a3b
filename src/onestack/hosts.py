"""What this host does for the cloud: the drivers behind its agent's posts."""

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from socket import gethostname
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from onestack import compute, network, volume
from onestack.core import config, log, seal, shell
from onestack.core.agent import Post

NEEDED = (
    "libvirtd", "qemu-system-x86_64", "qemu-img", "nft", "dnsmasq", "conntrack", "tgtd", "tgtadm",
    "/usr/lib/python3/dist-packages/libvirt.py", "/usr/lib/x86_64-linux-gnu/qemu/block-iscsi.so",
)  # fmt: skip
REAL_MARK = "run/real"
KEYS_FOLDER = "keys"
METADATA = "metadata"


class AgentSettings(msgspec.Struct, frozen=True):
    """What this host does for the cloud: [agent] in the settings file."""

    host: str = ""  # as the cloud knows it; default: the host's own name
    drivers: Literal["simulated", "auto", "real", "none"] = "simulated"
    simulated_hosts: Annotated[int, Meta(ge=1, le=100_000)] = 1
    tunnel_address: str = "127.0.0.1"
    physical_networks: list[str] = []  # as name:bridge; default: `public`, which ends at this host
    control_url: str = ""  # where guests' metadata comes from; default: this process


def posts(settings: AgentSettings, data: Path, control_url: str) -> list[Post]:
    """What this host does for the cloud, and the drivers that do it."""
    if settings.drivers == "none":
        return []
    if settings.drivers == "simulated":
        return _simulated(settings, data)
    why = _obstacle()
    if why is None:
        (data / REAL_MARK).touch()
        return _real(settings, data, settings.control_url or control_url)
    if settings.drivers == "real":
        raise config.ConfigError(f"[agent] drivers cannot be real: {why}")
    log.warning("hosts, networks and volumes are simulated", reason=why)
    return _simulated(settings, data)


def take_down(data: Path, environ: Mapping[str, str]) -> None:
    """Take from the host what real drivers made and left running; what they keep stays."""
    if not (data / REAL_MARK).exists():
        return
    content = config.read(data / "onestack.toml")
    settings = config.section(AgentSettings, "agent", content, environ)
    for post in _real(settings, data, ""):
        post.driver.take_down()  # type: ignore[attr-defined]
    (data / REAL_MARK).unlink()


def guest_folder() -> Path:
    """Where `up` leaves the tiny guest that it builds."""
    return Path(os.environ.get("ONESTACK_GUEST") or "/var/cache/onestack/guest")


def _obstacle() -> str | None:
    """Why real drivers cannot work here; nothing when they can."""
    if os.geteuid() != 0:
        return "it needs root"
    lacking = [each for each in NEEDED if not Path(each).is_file() and shell.find(each) is None]
    return f"this host lacks {', '.join(lacking)}" if lacking else None


def _real(settings: AgentSettings, data: Path, control_url: str) -> list[Post]:
    """Posts with engines of this host behind them."""
    from onestack.compute.drivers.libvirt import LibvirtHypervisor, LibvirtOptions, Parts
    from onestack.network.drivers.linux import LinuxOptions, LinuxSwitch, MetadataOptions
    from onestack.volume.drivers.files import FileBackend, FileOptions

    host = settings.host or gethostname()
    mark = sha256(str(data.resolve()).encode()).hexdigest()[:4]
    given = dict(each.split(":", 1) for each in settings.physical_networks)
    guest = guest_folder()
    parts = Parts(guest / "vmlinuz", guest / "initrd.img")
    switch = LinuxOptions(
        host=host, mark=mark, tunnel_address=settings.tunnel_address,
        physical_networks=given or {"public": f"br-{mark}-public"},
        gateway_of=frozenset() if given else frozenset({"public"}),
        metadata=MetadataOptions(f"{control_url}/compute/metadata", _metadata_secret(data)),
    )  # fmt: skip
    hypervisor = LibvirtOptions(
        host=host, mark=mark, address=settings.tunnel_address,
        probe=parts if parts.kernel.is_file() and parts.initrd.is_file() else None,
    )  # fmt: skip
    files = FileOptions(portal_address=settings.tunnel_address)
    drivers: list[tuple[str, Any, object]] = [
        ("switch", LinuxSwitch(data / "switch", switch), network.Switch),
        ("backend", FileBackend(data / "volume", files), volume.Backend),
        ("hypervisor", LibvirtHypervisor(data / "libvirt", hypervisor), compute.Hypervisor),
    ]
    return [Post(kind, driver, contract, [host]) for kind, driver, contract in drivers]


def _metadata_secret(data: Path) -> str:
    """What vouches for a guest that asks for its metadata; a joined host was given it."""
    given = data / KEYS_FOLDER / METADATA
    if given.exists():
        return given.read_bytes().hex()
    return seal.of_file(data / KEYS_FOLDER / "cloud").derive(METADATA).key.hex()


def _simulated(settings: AgentSettings, data: Path) -> list[Post]:
    """Posts that nothing real stands behind."""
    from onestack.compute.drivers.simulated import SimulatedHypervisor
    from onestack.network.drivers.simulated import SimulatedSwitch
    from onestack.volume.drivers.simulated import SimulatedBackend

    first = settings.host or gethostname()
    hosts = [first] + [f"{first}-{number}" for number in range(2, settings.simulated_hosts + 1)]
    return [
        Post("backend", SimulatedBackend(data / "volume.json"), volume.Backend, [first]),
        *(Post("switch", SimulatedSwitch(), network.Switch, [each]) for each in hosts),
        *(Post("hypervisor", SimulatedHypervisor(), compute.Hypervisor, [each]) for each in hosts),
    ]
