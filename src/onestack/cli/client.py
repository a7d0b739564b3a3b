"""A client of a running server: what it says of its health, its services and its traces."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from onestack.cli.errors import Failure, NotRunning
from onestack.cli.folder import Folder
from onestack.cli.process import Server, api_server

TIMEOUT_S = 10.0


class Refused(Failure):
    """The server answered, but not with what was asked for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def running(folder: Folder) -> Server:
    """The server of a folder; a failure that says how to start it when there is none."""
    server = api_server(folder)
    if server is None:
        raise NotRunning(f"no cloud runs on {folder.path}", next_step=f"onestack up{folder.option}")
    return server


def is_healthy(url: str, timeout_s: float = 2.0) -> bool:
    """Whether a server says that it can do its work."""
    try:
        status, _, body = exchange("GET", f"{url}/healthz", timeout_s=timeout_s)
        return status == 200 and json.loads(body)["status"] == "ok"
    except (OSError, ValueError, LookupError, TypeError):
        return False


def get(url: str, token: str | None = None) -> Any:
    """A document that the server gives."""
    headers = {"X-Auth-Token": token} if token else {}
    try:
        status, _, body = exchange("GET", url, headers=headers)
    except OSError as error:
        raise Failure(f"{url} does not answer", why=str(error)) from None
    if status != 200:
        raise Refused(status, message_of(body) or f"{url} answered {status}")
    return json.loads(body)


def admin_token(server: Server, folder: Folder) -> str:
    """A token of the administrator whom the bootstrap made."""
    return sign_in(server, folder, "admin")[0]


def sign_in(server: Server, folder: Folder, name: str) -> tuple[str, Any]:
    """A token of an account that the bootstrap made, and what the token says."""
    account = folder.credentials()[name]
    url = f"{server.url}{urlsplit(account['auth_url']).path}/auth/tokens"
    try:
        status, headers, answer = exchange(
            "POST", url, body=json.dumps(_credentials(account)).encode()
        )
    except OSError as error:
        raise Failure(f"{url} does not answer", why=str(error)) from None
    if status != 201:
        raise Failure(
            f"the user {name} cannot sign in",
            why=f"{message_of(answer) or status}; perhaps the password of "
            f"{account['username']} was changed",
            next_step=f"put the new password into {folder.admin}",
        )
    return headers["x-subject-token"], json.loads(answer)["token"]


def exchange(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> tuple[int, dict[str, str], bytes]:
    """One request; proxies named in the environment are for other hosts than this one."""
    from http.client import HTTPConnection, HTTPException

    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    all_headers = {"Content-Type": "application/json"} if body is not None else {}
    try:
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        connection.request(method, target, body, {**all_headers, **(headers or {})})
        response = connection.getresponse()
        answer = response.read()
    except HTTPException as error:
        raise OSError(f"no HTTP answer: {error!r}") from None
    finally:
        connection.close()
    return response.status, {k.lower(): v for k, v in response.getheaders()}, answer


def message_of(body: bytes) -> str | None:
    """What went wrong, in whichever envelope."""
    try:
        said = json.loads(body)
        inner = said if isinstance(said.get("message"), str) else next(iter(said.values()))
        return str(inner["message"])
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration):
        return None


def _credentials(account: Mapping[str, str]) -> dict[str, Any]:
    """What an account asks for a token with, within its project."""
    user = {
        "name": account["username"],
        "password": account["password"],
        "domain": {"name": account["user_domain_name"]},
    }
    project = {
        "name": account["project_name"],
        "domain": {"name": account["project_domain_name"]},
    }
    identity = {"methods": ["password"], "password": {"user": user}}
    return {"auth": {"identity": identity, "scope": {"project": project}}}
