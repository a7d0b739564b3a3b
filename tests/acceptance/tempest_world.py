"""What Tempest wants to find in a cloud besides what every cloud has, made for a run."""

import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

from cloud import Cloud

Settings = dict[str, dict[str, str]]


@contextmanager
def made(cloud: Cloud, settings: Settings) -> Iterator[None]:
    """A second image, and a type of volumes that several servers may have; gone in the end."""
    addresses = []
    try:
        if settings["service_available"].get("cinder") == "True":
            addresses.append(_type(cloud, settings))
        file = settings.get("scenario", {}).get("img_file")
        if file and settings["compute"]["image_ref"] == settings["compute"]["image_ref_alt"]:
            addresses.append(_image(cloud, settings, Path(file)))
        yield
    finally:
        for each in addresses:
            cloud.request("DELETE", each)


def _type(cloud: Cloud, settings: Settings) -> str:
    url = f"{cloud.endpoint(settings['volume']['catalog_type'])}/types"
    name = f"tempest-multiattach-{token_hex(4)}"
    wanted = {"name": name, "extra_specs": {"multiattach": "<is> True"}}
    kind = cloud.request("POST", url, {"volume_type": wanted}, expected=(200,)).document()
    settings["volume"]["volume_type_multiattach"] = name
    return f"{url}/{kind['volume_type']['id']}"


def _image(cloud: Cloud, settings: Settings, file: Path) -> str:
    url = str(cloud.endpoint("image"))
    url = url if url.endswith("/v2") else url + "/v2"
    alike = cloud.request("GET", f"{url}/images/{settings['compute']['image_ref']}").document()
    told = ("disk_format", "container_format", "min_disk", "min_ram", "os_admin_user")
    body = {name: alike[name] for name in told if name in alike}
    body |= {"name": "tempest-alternative", "visibility": "public"}
    image = cloud.request("POST", f"{url}/images", body, expected=(201,)).document()
    address = f"{url}/images/{image['id']}"
    headers = {"X-Auth-Token": cloud.token or "", "Content-Type": "application/octet-stream"}
    data = file.read_bytes()
    upload = urllib.request.Request(  # noqa: S310 - the cloud's own address
        f"{address}/file", data=data, headers=headers, method="PUT"
    )
    with urllib.request.urlopen(upload):  # noqa: S310 - the same
        settings["compute"]["image_ref_alt"] = image["id"]
    return address
