"""What tempest.conf must say about a cloud, found out by asking the cloud."""

import math
import sys
import time
from configparser import ConfigParser
from pathlib import Path
from secrets import token_hex

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

import tempest_servers

from cloud import Cloud, Refused

Settings = dict[str, dict[str, str]]

SERVICES = {
    "nova": ("compute",),
    "glance": ("image",),
    "neutron": ("network",),
    "cinder": ("block-storage", "volumev3", "volume"),
    "swift": ("object-store",),
}
LOCKOUT_ATTEMPTS_TRIED = 6
LOCKOUT_LIMIT_S = 60
HISTORY_TRIED = 5


def discover(cloud: Cloud) -> Settings:
    """All settings, by section."""
    found = _accounts(cloud)
    found["service_available"] = {"horizon": "False"}
    for name, types in SERVICES.items():
        is_there = any(cloud.endpoint(each) for each in types)
        found["service_available"][name] = str(is_there)
    available = found["service_available"]
    if available["glance"] == "True":
        found["image-feature-enabled"] = _image_features(cloud)
        found["image"] = {} if _fetches(cloud) else {"http_image": ""}
    if available["nova"] == "True":
        found |= tempest_servers.compute(cloud)
    if available["neutron"] == "True":
        found |= tempest_servers.network(cloud)
    if available["cinder"] == "True":
        found |= tempest_servers.volume(cloud)
    if available["swift"] == "True":
        found["object-storage-feature-enabled"] = _object_store(cloud)
    identity, features = _identity(cloud)
    found["identity"].update(identity)
    found["identity-feature-enabled"] = features
    return found


def write(settings: Settings, folder: Path) -> Path:
    """Write etc/tempest.conf of a Tempest workspace."""
    parser = ConfigParser(interpolation=None)
    parser.read_dict(settings)
    path = folder / "etc" / "tempest.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        parser.write(file)
    path.chmod(0o600)
    return path


def _accounts(cloud: Cloud) -> Settings:
    account, token = cloud.account, cloud.token_document
    identity = {
        "uri_v3": account.identity_url,
        "auth_version": "v3",
        "default_domain_id": token["project"]["domain"]["id"],
        "disable_ssl_certificate_validation": str(not account.is_verified),
    }
    if account.region_name:
        identity["region"] = account.region_name
    if account.ca_file:
        identity["ca_certificates_file"] = account.ca_file
    return {
        "DEFAULT": {"log_file": "tempest.log", "debug": "True"},
        "oslo_concurrency": {"lock_path": "locks"},
        "identity": identity,
        "auth": {
            "use_dynamic_credentials": "True",
            "admin_username": account.username,
            "admin_password": account.password,
            "admin_project_name": account.project_name,
            "admin_user_domain_name": token["user"]["domain"]["name"],
            "admin_project_domain_name": token["project"]["domain"]["name"],
            "default_credentials_domain_name": token["project"]["domain"]["name"],
        },
    }


def _identity(cloud: Cloud) -> tuple[dict[str, str], dict[str, str]]:
    user_id = cloud.token_document["user"]["id"]
    domain_id = cloud.token_document["project"]["domain"]["id"]

    def answers(path: str) -> bool:
        return cloud.identity("GET", path).status == 200

    extensions = {
        "OS-EC2": f"/users/{user_id}/credentials/OS-EC2",
        "OS-INHERIT": f"/OS-INHERIT/domains/{domain_id}/users/{user_id}"
        "/roles/inherited_to_projects",
    }
    there = [name for name, path in extensions.items() if answers(path)]
    features = {
        "trust": str(answers("/OS-TRUST/trusts")),
        "access_rules": str(answers(f"/users/{user_id}/access_rules")),
        "api_extensions": "all" if len(there) == len(extensions) else ",".join(there),
        "domain_specific_drivers": str(not answers("/users")),
    }
    user = _Probe(cloud, domain_id)
    features["immutable_user_source"] = str(not user.is_there)
    features["security_compliance"] = str(user.is_there)
    if not user.is_there:
        return {}, features
    try:
        settings = user.password_rules()
    finally:
        user.delete()
    return settings, features


class _Probe:
    """A throw-away user that finds out how passwords are judged."""

    def __init__(self, cloud: Cloud, domain_id: str) -> None:
        self._cloud = cloud
        self._password = _password()
        name = f"tempest-probe-{token_hex(4)}"
        body = {"user": {"name": name, "password": self._password, "domain_id": domain_id}}
        answer = cloud.identity("POST", "/users", body)
        self.is_there = answer.status == 201
        self.id = answer.document()["user"]["id"] if self.is_there else ""

    def delete(self) -> None:
        """Remove the user."""
        self._cloud.identity("DELETE", f"/users/{self.id}", expected=(204,))

    def password_rules(self) -> dict[str, str]:
        """Minimum age, history and lockout."""
        first = _password()
        if not self._changes(first):
            return {"user_minimum_password_age": "1", **self._lockout()}
        history = self._history()
        return {
            "user_minimum_password_age": "0",
            "user_unique_last_password_count": str(history),
            **self._lockout(),
        }

    def _history(self) -> int:
        """How many of the last passwords are refused; the present one counts."""
        used = [self._password]
        for _ in range(HISTORY_TRIED):
            fresh = _password()
            if not self._changes(fresh):
                raise Refused("a fresh password was refused")
            used.insert(0, fresh)
        for count, old in enumerate(used):
            if self._changes(old):
                return count
        return len(used)

    def _lockout(self) -> dict[str, str]:
        for attempts in range(1, LOCKOUT_ATTEMPTS_TRIED + 1):
            for _ in range(attempts):
                self._signs_in(_password())
            if not self._signs_in(self._password):
                return {
                    "user_lockout_failure_attempts": str(attempts),
                    "user_lockout_duration": str(self._locked_s()),
                }
        return {"user_lockout_failure_attempts": "0", "user_lockout_duration": "0"}

    def _locked_s(self) -> int:
        began = time.monotonic()
        while time.monotonic() - began < LOCKOUT_LIMIT_S:
            time.sleep(0.5)
            if self._signs_in(self._password):
                return math.ceil(time.monotonic() - began)
        # Longer than a test can wait for: Tempest skips the test, and says so.
        return 0

    def _changes(self, new: str) -> bool:
        body = {"user": {"password": new, "original_password": self._password}}
        answer = self._cloud.identity("POST", f"/users/{self.id}/password", body)
        if answer.status != 204:
            return False
        self._password = new
        return True

    def _signs_in(self, password: str) -> bool:
        user = {"id": self.id, "password": password}
        identity = {"methods": ["password"], "password": {"user": user}}
        body = {"auth": {"identity": identity, "scope": "unscoped"}}
        return self._cloud.identity("POST", "/auth/tokens", body).status == 201


def _password() -> str:
    """One that any sensible strength rule takes."""
    return f"Aa1-{token_hex(8)}"


def _fetches(cloud: Cloud) -> bool:
    """Whether the cloud gets images from addresses elsewhere."""
    url = str(cloud.endpoint("image"))
    url = url if url.endswith("/v2") else url + "/v2"
    answer = cloud.request("GET", f"{url}/info/import")
    if answer.status != 200:
        return False
    return "web-download" in answer.document()["import-methods"]["value"]


def _image_features(cloud: Cloud) -> dict[str, str]:
    """Whether images are imported, and whether data that is not what it claims is refused."""
    url = str(cloud.endpoint("image"))
    url = url if url.endswith("/v2") else url + "/v2"
    body = {"name": "tempest-probe", "disk_format": "qcow2", "container_format": "bare"}
    made = cloud.request("POST", f"{url}/images", body, expected=(201,)).document()
    path = f"{url}/images/{made['id']}"
    kind = {"Content-Type": "application/octet-stream"}
    enforced = cloud.request("PUT", f"{path}/file", {}, kind).status == 400
    cloud.request("DELETE", path, expected=(204,))
    return {
        "import_image": str(cloud.request("GET", f"{url}/info/import").status == 200),
        "image_format_enforcement": str(enforced),
    }


def _object_store(cloud: Cloud) -> dict[str, str]:
    url = str(cloud.endpoint("object-store")).split("/v1")[0]
    answer = cloud.request("GET", f"{url}/info")
    if answer.status != 200:
        return {"discoverability": "False"}
    return {"discoverable_apis": ",".join(answer.document())}
