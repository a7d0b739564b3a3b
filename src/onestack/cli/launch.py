"""`onestack launch`: a server that one can sign in to, with all that it needs, in one command."""

from pathlib import Path
from typing import Any

import click
import msgspec

from onestack.cli import client, output, rest, ssh_access
from onestack.cli import folder as folders
from onestack.cli.errors import Failure
from onestack.cli.rest import Rest
from onestack.core import clock

GROUP = "onestack-launch"
PAUSE_S = 0.05


class Steps(msgspec.Struct):
    """Says what was done, and how long each part took."""

    began: float = msgspec.field(default_factory=clock.monotonic)
    taken: list[dict[str, Any]] = []

    def done(self, what: str) -> None:
        at = clock.monotonic() - self.began
        last = self.taken[-1]["at_s"] if self.taken else 0.0
        self.taken.append({"step": what, "at_s": round(at, 3), "took_s": round(at - last, 3)})
        click.echo(f"{at:7.2f} s  {what}", err=True)


class Wish(msgspec.Struct, frozen=True):
    """What the command line asks for."""

    name: str
    image: str
    flavor: str | None
    network: str | None
    patience_s: float


@click.command()
@click.argument("name", default="demo")
@click.option("--image", default="tiny", show_default=True, help="Name or id.")
@click.option("--flavor", help="Name or id.  [default: the smallest that the image fits in]")
@click.option("--network", help="Name or id.  [default: the project's own, made when missing]")
@click.option("--timeout", "patience_s", default=300.0, show_default=True, help="In seconds.")
@click.option("--no-wait", is_flag=True, help="Return when the server is active, before SSH.")
@folders.data_option
@output.output_option
def command(  # noqa: PLR0913, PLR0917 - click gives each option by its name
    name: str, image: str, flavor: str | None, network: str | None, patience_s: float,
    no_wait: bool, data: Path | None, form: str,
) -> None:  # fmt: skip
    """Launch a server and wait until one can sign in to it.

    It makes what is missing: a key pair, a network with a way outside, a security group that lets
    SSH and ping in, a floating address. A server of that name that is there already is taken.
    """
    wish = Wish(name, image, flavor, network, patience_s)
    steps = Steps()
    session = rest.signed_in(data)
    steps.done("signed in")
    _wait_for_furniture(session, patience_s)
    server = _existing(session, wish) or _create(session, wish, steps)
    server = _active(session, server["id"], wish, steps)
    address = _address(session, server, steps)
    if not no_wait:
        if not ssh_access.wait_for_banner(address, patience_s):
            raise Failure(
                f"the server {name} does not answer SSH at {address} after {patience_s:.0f} s",
                next_step=f"onestack console{session.folder.option} {name}",
            )
        steps.done(f"answers SSH at {address}")
    line = f"onestack ssh{session.folder.option} {name}"
    if form == "json":
        facts = {"id": server["id"], "name": name, "address": address, "ssh": line}
        output.document({**facts, "steps": steps.taken})
        return
    click.echo(f"{name} is ready at {address}: {line}")


def _wait_for_furniture(session: Rest, patience_s: float) -> None:
    """A cloud that has just started may still be making the image and the networks it brings."""
    deadline = clock.monotonic() + patience_s
    while not session.folder.furnished.exists() and clock.monotonic() < deadline:
        clock.sleep(PAUSE_S)


def _existing(session: Rest, wish: Wish) -> Any:
    found = session.get("compute", "/servers", name=f"^{wish.name}$")["servers"]
    if found:
        click.echo(f"the server {wish.name} is there already", err=True)
    return found[0] if found else None


def _create(session: Rest, wish: Wish, steps: Steps) -> Any:
    image = _image(session, wish.image)
    flavor = _flavor(session, wish.flavor, image)
    network_id = _network(session, wish.network)
    _key(session)
    _group(session)
    steps.done("key pair, network and security group are there")
    body = {
        "name": wish.name, "imageRef": image["id"], "flavorRef": flavor["id"],
        "key_name": ssh_access.KEY_NAME, "networks": [{"uuid": network_id}],
        "security_groups": [{"name": GROUP}],
    }  # fmt: skip
    server = session.post("compute", "/servers", {"server": body})["server"]
    steps.done(f"server {server['id']} asked for")
    return server


def _active(session: Rest, server_id: str, wish: Wish, steps: Steps) -> Any:
    deadline = clock.monotonic() + wish.patience_s
    while clock.monotonic() < deadline:
        server = session.get("compute", f"/servers/{server_id}")["server"]
        if server["status"] == "ACTIVE":
            steps.done("active")
            return server
        if server["status"] == "ERROR":
            raise Failure(
                f"the server {wish.name} could not be built",
                why=str(server.get("fault", {}).get("message", "no reason is known")),
                next_step=f"onestack explain{session.folder.option} {wish.name}",
            )
        clock.sleep(PAUSE_S)
    raise Failure(
        f"the server {wish.name} is not active after {wish.patience_s:.0f} s",
        next_step=f"onestack trace{session.folder.option} {server_id}",
    )


def _address(session: Rest, server: Any, steps: Steps) -> str:
    """The server's floating address, made when it has none."""
    ports = session.get("network", "/ports", device_id=server["id"])["ports"]
    if not ports:
        raise Failure(f"the server {server['name']} has no port")
    known = session.get("network", "/floatingips", port_id=ports[0]["id"])["floatingips"]
    if known:
        return str(known[0]["floating_ip_address"])
    external = session.get("network", "/networks", **{"router:external": "True"})["networks"]
    if not external:
        raise Failure(
            "there is no external network to take a floating address from",
            next_step="openstack --os-cloud onestack-admin network create --external public",
        )
    wanted = {"floating_network_id": external[0]["id"], "port_id": ports[0]["id"]}
    made = session.post("network", "/floatingips", {"floatingip": wanted})["floatingip"]
    steps.done(f"floating address {made['floating_ip_address']}")
    return str(made["floating_ip_address"])


def _image(session: Rest, wanted: str) -> Any:
    found = session.get("image", "/images", name=wanted, status="active")["images"]
    if found:
        return found[0]
    try:
        return session.get("image", f"/images/{wanted}")
    except client.Refused as error:
        if error.status != 404:
            raise
    raise Failure(f"there is no image {wanted}", next_step="openstack image list")


def _flavor(session: Rest, wanted: str | None, image: Any) -> Any:
    found = session.get("compute", "/flavors/detail")["flavors"]
    if wanted is not None:
        fitting = [each for each in found if wanted in (each["name"], each["id"])]
    else:
        fitting = [
            each for each in found
            if each["ram"] >= image["min_ram"] and each["disk"] >= image["min_disk"]
        ]  # fmt: skip
    if not fitting:
        raise Failure(
            f"there is no flavor {wanted}" if wanted else "no flavor is large enough for the image",
            next_step="openstack flavor list",
        )
    return min(fitting, key=lambda each: (each["ram"], each["disk"], each["vcpus"]))


def _network(session: Rest, wanted: str | None) -> str:
    if wanted is not None:
        found = session.get("network", "/networks", name=wanted)["networks"]
        return str(found[0]["id"]) if found else wanted
    own = session.get("network", "/networks", project_id=session.project_id)["networks"]
    inner = [each for each in own if not each["router:external"] and each["subnets"]]
    if inner:
        return str(inner[0]["id"])
    topology = session.get("network", f"/auto-allocated-topology/{session.project_id}")
    return str(topology["auto_allocated_topology"]["id"])


def _key(session: Rest) -> None:
    ours = ssh_access.public_key(session.folder)
    try:
        known = session.get("compute", f"/os-keypairs/{ssh_access.KEY_NAME}")["keypair"]
    except client.Refused as error:
        if error.status != 404:
            raise
    else:
        if known["public_key"].split()[:2] == ours.split()[:2]:
            return
        session.ask("DELETE", "compute", f"/os-keypairs/{ssh_access.KEY_NAME}")
    wanted = {"name": ssh_access.KEY_NAME, "public_key": ours, "type": "ssh"}
    session.post("compute", "/os-keypairs", {"keypair": wanted})


def _group(session: Rest) -> None:
    """A security group that lets SSH and ping in."""
    if session.get("network", "/security-groups", name=GROUP)["security_groups"]:
        return
    wanted = {"name": GROUP, "description": "SSH and ping, for servers of onestack launch"}
    made = session.post("network", "/security-groups", {"security_group": wanted})
    group_id = made["security_group"]["id"]
    tcp = {"protocol": "tcp", "port_range_min": ssh_access.PORT, "port_range_max": ssh_access.PORT}
    for let_in in (tcp, {"protocol": "icmp"}):
        rule = {"security_group_id": group_id, "direction": "ingress", "ethertype": "IPv4"}
        body = {"security_group_rule": {**rule, **let_in}}
        session.post("network", "/security-group-rules", body)
