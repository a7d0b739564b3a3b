"""A web server in a host's network: gives what lies in a folder, and keeps there what is put."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def main(folder: str, address: str, port: str) -> None:
    root = Path(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = root / self.path.strip("/").replace("/", "_")
            content = path.read_bytes() if path.is_file() else b""
            self.send_response(200 if path.is_file() else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_PUT(self) -> None:
            path = root / self.path.strip("/").replace("/", "_")
            left = int(self.headers["Content-Length"])
            with path.open("wb") as file:
                while left:
                    piece = self.rfile.read(min(left, 1 << 20))
                    file.write(piece)
                    left -= len(piece)
            self.send_response(204)
            self.end_headers()

    ThreadingHTTPServer((address, int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
