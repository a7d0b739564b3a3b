"""Images under load: listed, shown and registered; 256 MiB of data uploaded and downloaded."""

import http.client
import json
import os
import statistics
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import cloud
import load
import processes
from identity import Length

IMAGES = 100
PIECE_BYTES = 1 << 20
DATA_PIECES = 256
DOWNLOADS = 2


class Images:
    """A hundred images of a cloud, deleted in the end."""

    def __init__(self, signed_in: cloud.Cloud) -> None:
        self._cloud = signed_in
        endpoint = str(signed_in.endpoint("image")).rstrip("/")
        self.url = endpoint if endpoint.endswith("/v2") else endpoint + "/v2"
        self.ids: list[str] = []

    def __enter__(self) -> "Images":
        for number in range(IMAGES):
            body = {"name": f"bench-{number}", "disk_format": "raw", "container_format": "bare"}
            answer = self._cloud.request("POST", f"{self.url}/images", body, expected=(201,))
            self.ids.append(answer.document()["id"])
        return self

    def __exit__(self, *exception: object) -> None:
        url = f"{self.url}/images?limit=1000"
        listed = self._cloud.request("GET", url, expected=(200,)).document()["images"]
        made = [each["id"] for each in listed if str(each["name"]).startswith("bench-")]
        for image_id in made:
            self._cloud.request("DELETE", f"{self.url}/images/{image_id}", expected=(204,))

    def requests(self) -> dict[str, load.Request]:
        """What is asked again and again."""
        own = {"X-Auth-Token": str(self._cloud.token)}
        return {
            "images_list_100": load.Request("GET", f"{self.url}/images?limit={IMAGES}", own),
            "image_show": load.Request("GET", f"{self.url}/images/{self.ids[0]}", own),
        }

    def create(self) -> load.Request:
        """A new image."""
        headers = {"X-Auth-Token": str(self._cloud.token), "Content-Type": "application/json"}
        body = {"name": "bench-new", "disk_format": "raw", "container_format": "bare"}
        return load.Request("POST", f"{self.url}/images", headers, json.dumps(body).encode())


def figures(images: Images, token: str, length: Length, roots: Sequence[int]) -> Iterator[Any]:
    """All figures, each as soon as it is measured."""
    for name, request in images.requests().items():
        for concurrency in (1, 16):
            yield _figure(f"image_{name}_c{concurrency}", request, concurrency, length, roots)
    rates: dict[str, list[float]] = {"upload": [], "download": []}
    for image_id in images.ids[: length.runs]:
        path = f"{images.url}/images/{image_id}/file"
        rates["upload"].append(_upload(path, token))
        rates["download"].append(max(_download(path, token) for _ in range(DOWNLOADS)))
    for name, measured in rates.items():
        rounded = round(statistics.median(measured), 1)
        yield {"name": f"image_{name}_256MiB", "value": rounded, "unit": "MB/s", "runs": measured}
    yield _figure("image_image_create_c8", images.create(), 8, Length(1, length.runs), roots)


def _figure(
    name: str, request: load.Request, concurrency: int, length: Length, roots: Sequence[int]
) -> Any:
    runs = [load.apply(request, concurrency, length.seconds, roots) for _ in range(length.runs)]
    return load.Figure(name, concurrency, runs).line()


def _upload(url: str, token: str) -> float:
    """How many megabytes a second go in, to the answer that says that they are kept."""
    pieces = [os.urandom(PIECE_BYTES) for _ in range(8)]
    connection, path = _connected(url)
    began = time.perf_counter()
    connection.putrequest("PUT", path)
    connection.putheader("X-Auth-Token", token)
    connection.putheader("Content-Type", "application/octet-stream")
    connection.putheader("Content-Length", str(DATA_PIECES * PIECE_BYTES))
    connection.endheaders()
    for number in range(DATA_PIECES):
        connection.send(pieces[number % len(pieces)])
    answer = connection.getresponse()
    answer.read()
    elapsed = time.perf_counter() - began
    connection.close()
    if answer.status != 204:
        raise cloud.Refused(f"PUT {path}: {answer.status}")
    return DATA_PIECES * PIECE_BYTES / elapsed / 1e6


def _download(url: str, token: str) -> float:
    """How many megabytes a second come out."""
    connection, path = _connected(url)
    began = time.perf_counter()
    connection.request("GET", path, headers={"X-Auth-Token": token})
    answer = connection.getresponse()
    kept = bytearray(PIECE_BYTES)
    size = 0
    while count := answer.readinto(kept):
        size += count
    elapsed = time.perf_counter() - began
    connection.close()
    if (answer.status, size) != (200, DATA_PIECES * PIECE_BYTES):
        raise cloud.Refused(f"GET {path}: {answer.status}, {size} bytes")
    return size / elapsed / 1e6


def _connected(url: str) -> tuple[http.client.HTTPConnection, str]:
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.netloc, timeout=300), parts.path


def main() -> int:
    """Measure the cloud that the command line names; one JSON object a line."""
    parser = ArgumentParser(description=__doc__)
    cloud.add_arguments(parser)
    parser.add_argument("--seconds", type=float, default=6, help="length of one run")
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median counts")
    parser.add_argument(
        "--pids", nargs="*", default=[], help="the server's process ids, pid files or folders"
    )
    arguments = parser.parse_args()
    signed_in = cloud.Cloud(cloud.account_from_arguments(arguments))
    signed_in.sign_in()
    length = Length(arguments.seconds, arguments.runs)
    with Images(signed_in) as images:
        roots = processes.roots_of(arguments.pids)
        for line in figures(images, str(signed_in.token), length, roots):
            print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
