"""The accounts of a cloud as clients' configuration: entries of clouds.yaml, and openrc files."""

import os
import shlex
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from onestack.cli.folder import Folder
from onestack.cli.process import Server

ADMIN = "admin"
DEFAULT_REGION = "RegionOne"

# What an earlier openrc may have left in the shell and would win over, or fight with, this one.
STALE = (
    "OS_CLOUD OS_TOKEN OS_SYSTEM_SCOPE OS_TRUST_ID OS_DOMAIN_ID OS_DOMAIN_NAME OS_PROJECT_ID "
    "OS_TENANT_ID OS_TENANT_NAME OS_USER_ID OS_AUTH_TYPE OS_APPLICATION_CREDENTIAL_ID "
    "OS_APPLICATION_CREDENTIAL_NAME OS_APPLICATION_CREDENTIAL_SECRET OS_CACERT"
)

Entry = dict[str, Any]


def entries(folder: Folder, server: Server) -> dict[str, Entry]:
    """What clouds.yaml says of each account, by the user's name; addresses are those of now."""
    chosen = _identity_settings(folder)
    base_url = chosen.get("public_url") or server.url
    region = chosen.get("region") or DEFAULT_REGION
    found = {}
    by_user = sorted(folder.credentials().items(), key=lambda pair: pair[0] == ADMIN)
    for user, account in by_user:
        auth = {key: value for key, value in account.items() if key != "auth_url"}
        url = f"{base_url}{urlsplit(account['auth_url']).path}"
        found[user] = {
            "auth": {"auth_url": url, **auth},
            "region_name": region,
            "identity_api_version": 3,
        }
    return found


def openrc(entry: Entry) -> str:
    """A file for the shell to source; values are quoted, for a project may be named `$(id)`."""
    values = {f"OS_{key.upper()}": value for key, value in entry["auth"].items()}
    values["OS_REGION_NAME"] = entry["region_name"]
    values["OS_IDENTITY_API_VERSION"] = str(entry["identity_api_version"])
    lines = [f"export {name}={shlex.quote(str(value))}" for name, value in values.items()]
    return "\n".join(["# Source this file: . openrc", f"unset {STALE}", *lines]) + "\n"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads: there whole, or not at all."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            os.fchmod(descriptor, 0o600)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _identity_settings(folder: Folder) -> Mapping[str, Any]:
    """The two settings that clients must know, without loading the whole of the services."""
    content: dict[str, Any] = {}
    with suppress(OSError, tomllib.TOMLDecodeError):
        content = dict(tomllib.loads(folder.settings.read_text()).get("identity", {}))
    for name in ("public_url", "region"):
        override = os.environ.get(f"ONESTACK_IDENTITY_{name.upper()}")
        if override is not None:
            content[name] = override
    return content
