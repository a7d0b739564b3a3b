"""How one gets into a server: the cloud's own key pair, and the server's address and user."""

import os
import socket
from contextlib import suppress
from typing import Any

from onestack.cli.accounts import write_private
from onestack.cli.errors import Failure
from onestack.cli.folder import Folder
from onestack.cli.rest import Rest
from onestack.core import clock

KEY_NAME = "onestack"
USER = "onestack"
PORT = 22
TRY_S = 1.0
PAUSE_S = 0.1


def key_path(folder: Folder) -> str:
    """The private key that `launch` puts into servers."""
    return str(folder.keys / "ssh")


def public_key(folder: Folder) -> str:
    """The public half of the key, which is made when there is none."""
    private, public = folder.keys / "ssh", folder.keys / "ssh.pub"
    if not (private.exists() and public.exists()):
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519

        key = ed25519.Ed25519PrivateKey.generate()
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        shown = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        write_private(public, f"{shown.decode()} onestack\n")
        write_private(private, secret.decode())
    return public.read_text().strip()


def address_of(server: Any) -> str:
    """The address under which a server is reached: a floating one before all others."""
    found = [each for addresses in server["addresses"].values() for each in addresses]
    floating = [each for each in found if each.get("OS-EXT-IPS:type") == "floating"]
    if not floating:
        raise Failure(
            f"the server {server['name']} has no floating address",
            next_step=f"openstack server add floating ip {server['name']} ADDRESS",
        )
    return str(floating[0]["addr"])


def user_of(rest: Rest, server: Any) -> str:
    """Who one signs in as: what the image says, else our own images' user."""
    image_id = (server.get("image") or {}).get("id")
    if image_id:
        with suppress(Failure):
            return str(rest.get("image", f"/images/{image_id}").get("os_admin_user") or USER)
    return USER


def command(rest: Rest, server: Any, words: tuple[str, ...]) -> list[str]:
    """The ssh command; each server's host key is remembered beside the cloud's data."""
    hosts = rest.folder.path / "known_hosts"
    hosts.mkdir(mode=0o700, exist_ok=True)
    options = [
        f"UserKnownHostsFile={hosts / server['id']}", "StrictHostKeyChecking=accept-new",
        "IdentitiesOnly=yes", "LogLevel=ERROR", "ConnectTimeout=10",
    ]  # fmt: skip
    asked = [part for option in options for part in ("-o", option)]
    who = f"{user_of(rest, server)}@{address_of(server)}"
    return ["ssh", "-i", key_path(rest.folder), *asked, who, *words]


def execute(words: list[str]) -> None:
    """Become the ssh client."""
    try:
        os.execvp(words[0], words)  # noqa: S606 - a list of arguments, and no shell
    except FileNotFoundError:
        raise Failure(
            "there is no ssh on this host", next_step="apt-get install openssh-client"
        ) from None


def wait_for_banner(address: str, patience_s: float) -> bool:
    """Whether an SSH server greets at the address before patience ends."""
    deadline = clock.monotonic() + patience_s
    while clock.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((address, PORT), TRY_S) as connection:
            connection.settimeout(TRY_S)
            if connection.recv(4) == b"SSH-":
                return True
        clock.sleep(PAUSE_S)
    return False
