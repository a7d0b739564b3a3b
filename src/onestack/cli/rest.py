"""The cloud's services as one of its first users asks them: what verbs like `launch` speak."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from onestack.cli import client
from onestack.cli import folder as folders
from onestack.cli.errors import Failure
from onestack.cli.folder import Folder
from onestack.cli.process import Server

MEMBER, ADMIN = "demo", "admin"
ROOTS = {"compute": "/compute/v2.1", "network": "/network/v2.0", "image": "/image/v2"}
COMPUTE_VERSION = "compute 2.96"


class Rest:
    """A signed-in user of a running cloud."""

    def __init__(self, server: Server, folder: Folder, user: str = MEMBER) -> None:
        self.server, self.folder = server, folder
        self._token, said = client.sign_in(server, folder, user)
        self.project_id: str = said["project"]["id"]
        self.is_admin = user == ADMIN

    def get(self, service: str, path: str, **query: str) -> Any:
        asked = f"?{urlencode(query)}" if query else ""
        return self.ask("GET", service, f"{path}{asked}")

    def post(self, service: str, path: str, body: Any) -> Any:
        return self.ask("POST", service, path, body)

    def ask(self, method: str, service: str, path: str, body: Any = None) -> Any:
        """The answer's document; a refusal is a failure with the service's own words."""
        headers = {"X-Auth-Token": self._token}
        if service == "compute":
            headers["OpenStack-API-Version"] = COMPUTE_VERSION
        content = None if body is None else json.dumps(body).encode()
        url = f"{self.server.url}{ROOTS[service]}{path}"
        try:
            status, _, answer = client.exchange(method, url, body=content, headers=headers)
        except OSError as error:
            raise Failure(f"{urlsplit(url).netloc} does not answer", why=str(error)) from None
        if status >= 400:
            raise client.Refused(status, client.message_of(answer) or f"{url} answered {status}")
        return json.loads(answer) if answer else None

    def server_named(self, name: str) -> Any:
        """A server by its id or its name; ambiguity names the choices."""
        found = self.get("compute", "/servers/detail", name=f"^{name}$")["servers"]
        if not found:
            try:
                return self.get("compute", f"/servers/{name}")["server"]
            except client.Refused as error:
                if error.status != 404:
                    raise
            raise Failure(
                f"there is no server {name}",
                next_step=f"onestack launch{self.folder.option} {name}",
            )
        if len(found) > 1:
            choices = "\n".join(f"       {each['id']}" for each in found)
            raise Failure(
                f"{len(found)} servers are called {name}", next_step=f"name one:\n{choices}"
            )
        return found[0]


def signed_in(data: Path | None, user: str = MEMBER) -> Rest:
    """A user of the cloud that a command means."""
    folder = folders.chosen(data)
    return Rest(client.running(folder), folder, user)
