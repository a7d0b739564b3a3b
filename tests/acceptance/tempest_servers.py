"""What tempest.conf must say of a cloud's servers, networks and volumes, asked of the cloud."""

import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

from cloud import Cloud

Settings = dict[str, dict[str, str]]

VOLUME_KINDS = ("block-storage", "volumev3", "volume")
# An action of servers, and the features that are there when it is; pausing and the like have
# settings of Tempest's because some hypervisors cannot do it.
FEATURES = {
    "resize": ("resize",),
    "pause": ("pause",),
    "suspend": ("suspend",),
    "shelve": ("shelve",),
    "createImage": ("snapshot",),
    "os-getConsoleOutput": ("console_output",),
    "rescue": ("rescue",),
    "changePassword": ("change_password",),
}
BETWEEN_HOSTS = {
    "migrate": ("cold_migration",),
    "os-migrateLive": ("live_migration", "volume_backed_live_migration"),
}


def compute(cloud: Cloud) -> Settings:
    """Servers: flavours, images, which actions there are, how one signs in."""
    url = cloud.endpoint("compute")
    hosts = _get(cloud, f"{url}/os-hypervisors")["hypervisors"]
    is_real = any(each.get("hypervisor_type") == "QEMU" for each in _detail(cloud, str(url)))
    found = _microversions(cloud, "compute")
    found |= _flavors(cloud, str(url)) | (images := _images(cloud))
    found |= {"min_compute_nodes": str(len(hosts)), "build_timeout": "180", "build_interval": "1"}
    actions = _actions(cloud)
    features = {name: str(action in actions) for action, names in FEATURES.items()
                for name in names}  # fmt: skip
    features |= {
        name: str(action in actions and len(hosts) > 1)
        for action, names in BETWEEN_HOSTS.items() for name in names
    }  # fmt: skip
    features |= {
        "interface_attach": "True", "config_drive": "True", "metadata_service": str(is_real),
        "vnc_console": str("os-getVNCConsole" in actions), "personality": "False",
        "serial_console": "False",  # its only test sends text as numbers, and so nothing at all
        "attach_encrypted_volume": "False", "swap_volume": "False",
        "block_migration_for_live_migration": "True", "volume_multiattach": "True",
        "scheduler_enabled_filters": "all", "unified_limits": "False",
    }  # fmt: skip
    return {
        "compute": found,
        "compute-feature-enabled": features,
        "validation": _validation(cloud, images.get("image_ref"), is_real),
        "scenario": {"dhcp_client": "udhcpc"},
    }


def network(cloud: Cloud) -> Settings:
    """Networks: the external one, and which extensions there are."""
    url = str(cloud.endpoint("network"))
    url = url if url.endswith("/v2.0") else url + "/v2.0"
    networks = _get(cloud, f"{url}/networks?router:external=true")["networks"]
    found = {"project_network_cidr": "10.100.0.0/16", "build_timeout": "60", "build_interval": "1"}
    if networks:
        found["public_network_id"] = networks[0]["id"]
        found["floating_network_name"] = networks[0]["name"]
    aliases = [each["alias"] for each in _get(cloud, f"{url}/extensions")["extensions"]]
    features = {
        "api_extensions": ",".join(aliases), "ipv6": "True", "ipv6_subnet_attributes": "True",
        "floating_ips": "True", "port_security": str("port-security" in aliases),
    }  # fmt: skip
    return {"network": found, "network-feature-enabled": features}


def volume(cloud: Cloud) -> Settings:
    """Volumes: which back end answers, and what it does."""
    kind = next(each for each in VOLUME_KINDS if cloud.endpoint(each))
    pools = _get(cloud, f"{cloud.endpoint(kind)}/scheduler-stats/get_pools?detail=true")["pools"]
    capabilities: dict[str, Any] = pools[0]["capabilities"] if pools else {}
    found = {
        "catalog_type": kind, **_microversions(cloud, kind), "build_interval": "1",
        "storage_protocol": str(capabilities.get("storage_protocol", "iSCSI")),
        "vendor_name": str(capabilities.get("vendor_name", "onestack")),
        "backend_names": str(capabilities.get("volume_backend_name", "")),
    }  # fmt: skip
    services = _get(cloud, f"{cloud.endpoint(kind)}/os-services")["services"]
    backs_up = any(each["binary"] == "cinder-backup" for each in services)
    grows = str(capabilities.get("online_extend_support", True))
    features = {
        "backup": str(backs_up), "snapshot": "True", "clone": "True", "manage_volume": "False",
        "manage_snapshot": "False", "extend_attached_volume": grows, "multi_backend": "False",
        "consistency_group": "False", "volume_revert": "True",
    }  # fmt: skip
    return {"volume": found, "volume-feature-enabled": features}


def image_file(cloud: Cloud, image_id: str, path: Path) -> dict[str, str]:
    """An image as a file, for scenarios that upload one themselves."""
    url = f"{_image_url(cloud)}/images/{image_id}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cloud.request("GET", f"{url}/file", expected=(200,)).body)
    kept = {"img_file": str(path)}
    return kept | {f"img_{name}": str(_get(cloud, url)[name])
                   for name in ("disk_format", "container_format")}  # fmt: skip


def _validation(cloud: Cloud, image_id: str | None, is_real: bool) -> dict[str, str]:
    """How one signs in to a server, where there is something to sign in to."""
    user = "cirros"
    if image_id:
        image = _get(cloud, f"{_image_url(cloud)}/images/{image_id}")
        user = str(image.get("os_admin_user", user))
    return {
        "run_validation": str(is_real), "image_ssh_user": user, "image_alt_ssh_user": user,
        "connect_method": "floating", "auth_method": "keypair", "ssh_timeout": "120",
        "ping_timeout": "60", "connect_timeout": "20", "network_for_ssh": "public",
    }  # fmt: skip


def _flavors(cloud: Cloud, url: str) -> dict[str, str]:
    flavors = _get(cloud, f"{url}/flavors/detail")["flavors"]
    ordered = sorted(flavors, key=lambda each: (each["ram"], each["disk"], each["vcpus"]))
    keys = ("flavor_ref", "flavor_ref_alt")
    return {key: flavor["id"] for key, flavor in zip(keys, ordered, strict=False)}


def _images(cloud: Cloud) -> dict[str, str]:
    """Two images to make servers of; kernels and ramdisks are none."""
    listed = _get(cloud, f"{_image_url(cloud)}/images?status=active&sort=name:asc")["images"]
    images = [each["id"] for each in listed if each["disk_format"] not in ("aki", "ari")]
    # The alternative image may be the same one: the tests that need two say so.
    return {"image_ref": images[0], "image_ref_alt": images[-1]} if images else {}


def _actions(cloud: Cloud) -> set[str]:
    """The actions of servers, as far as the cloud documents itself."""
    base = str(cloud.endpoint("compute")).partition("/compute")[0]
    answer = cloud.request("GET", f"{base}/openapi/compute?version=2.1")
    if answer.status != 200:
        return {name for action in (FEATURES, BETWEEN_HOSTS) for name in action}
    paths = answer.document()["paths"]
    path = next((item for name, item in paths.items() if name.endswith("/{server_id}/action")), {})
    return set(path.get("post", {}).get("x-actions", {}))


def _detail(cloud: Cloud, url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _get(cloud, f"{url}/os-hypervisors/detail")["hypervisors"]
    return found


def _image_url(cloud: Cloud) -> str:
    url = str(cloud.endpoint("image"))
    return url if url.endswith("/v2") else url + "/v2"


def _get(cloud: Cloud, url: str) -> Any:
    return cloud.request("GET", url, expected=(200,)).document()


def _microversions(cloud: Cloud, kind: str) -> dict[str, str]:
    """The range that the service's version document states."""
    answer = cloud.request("GET", f"{cloud.endpoint(kind)}/")
    if answer.status != 200:
        return {}
    document = answer.document()
    version = document.get("version") or document.get("versions", [{}])[-1]
    least = version.get("min_version")
    most = version.get("version") or version.get("max_version")
    if not least or not most:
        return {}
    return {"min_microversion": least, "max_microversion": most}
