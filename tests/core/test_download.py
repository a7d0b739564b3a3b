"""Data comes whole, checked and once; what went wrong leaves nothing behind."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from onestack.core import download
from onestack.core.download import Source, TransferFailed

CONTENT = b"a disk" * 1000
SHA512 = hashlib.sha512(CONTENT).hexdigest()


class Origin(BaseHTTPRequestHandler):
    """Serves one file, takes any, and refuses what is called /no."""

    received: bytes = b""
    asked = 0

    def do_GET(self) -> None:
        Origin.asked += 1
        status = 404 if self.path == "/no" else 200
        self.send_response(status)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:-5] if self.path == "/short" else CONTENT)

    def do_PUT(self) -> None:
        Origin.received = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(409 if self.path == "/no" else 204)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def source(url: str, path: str | None = None, sha512: str = SHA512) -> Source:
    return Source(url, len(CONTENT), sha512, "raw", path)


def test_data_is_fetched_once(origin: str, tmp_path: Path) -> None:
    target = tmp_path / "images" / "one"
    Origin.asked = 0
    for _ in range(2):
        assert download.fetch(source(f"{origin}/disk"), target).read_bytes() == CONTENT
    assert Origin.asked == 1


@pytest.mark.parametrize(("path", "sha512"), [("/no", SHA512), ("/disk", "0" * 128),
                                              ("/short", SHA512)])  # fmt: skip
def test_what_is_not_whole_is_not_there(
    origin: str, tmp_path: Path, path: str, sha512: str
) -> None:
    with pytest.raises(TransferFailed):
        download.fetch(source(origin + path, sha512=sha512), tmp_path / "one")
    assert not list(tmp_path.iterdir())


def test_data_of_this_host_is_not_sent(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(CONTENT)
    target = tmp_path / "target"
    download.fetch(source("http://127.0.0.1:1/nobody", str(kept)), target)
    kept.unlink()
    assert target.read_bytes() == CONTENT


def test_a_file_of_another_size_is_not_taken(origin: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"something else")
    fetched = download.fetch(source(f"{origin}/disk", str(other)), tmp_path / "target")
    assert fetched.read_bytes() == CONTENT


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(TransferFailed):
        download.fetch(source("http://127.0.0.1:1/disk"), tmp_path / "one")


def test_a_file_is_sent(origin: str, tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(CONTENT)
    download.send(path, f"{origin}/disk")
    assert Origin.received == CONTENT
    with pytest.raises(TransferFailed, match="409"):
        download.send(path, f"{origin}/no")
