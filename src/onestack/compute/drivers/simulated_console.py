"""Consoles of simulated guests: a screen and a serial line that speak their protocols."""

import socketserver
import struct
import threading
from typing import Literal

from onestack.compute.hypervisor import ConsoleAddress

WIDTH, HEIGHT = 320, 200
PIXEL = struct.pack("<I", 0x00303848)
FORMAT = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
MESSAGE_BYTES = {0: 20, 3: 10, 4: 8, 5: 6}  # of what a viewer sends, by kind
SET_ENCODINGS, WANTS_UPDATE, CUT_TEXT = 2, 3, 6


class Consoles:
    """The consoles of one host's guests, each on a port of its own from when it is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: dict[tuple[str, str], socketserver.ThreadingTCPServer] = {}

    def address(self, guest_id: str, kind: Literal["vnc", "serial"]) -> ConsoleAddress:
        with self._lock:
            server = self._servers.get((guest_id, kind))
            if server is None:
                handler = _Screen if kind == "vnc" else _Line
                server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
                server.daemon_threads = True
                threading.Thread(target=server.serve_forever, daemon=True).start()
                self._servers[guest_id, kind] = server
        return ConsoleAddress(kind=kind, host="127.0.0.1", port=server.server_address[1])

    def close(self, guest_id: str) -> None:
        """Nobody reaches the guest's consoles any more."""
        with self._lock:
            gone = [key for key in self._servers if key[0] == guest_id]
            servers = [self._servers.pop(key) for key in gone]
        for each in servers:
            each.shutdown()
            each.server_close()


class _Screen(socketserver.StreamRequestHandler):
    """RFB 3.8 without a password, and a screen of one colour."""

    def handle(self) -> None:
        self.wfile.write(b"RFB 003.008\n")
        if self.rfile.read(12)[:4] != b"RFB ":
            return
        self.wfile.write(b"\x01\x01")
        if self.rfile.read(1) != b"\x01":
            return
        self.wfile.write(bytes(4))
        self.rfile.read(1)
        name = b"simulated"
        size = struct.pack(">HH", WIDTH, HEIGHT)
        self.wfile.write(size + FORMAT + struct.pack(">I", len(name)) + name)
        while kind := self.rfile.read(1):
            self._heed(kind[0])

    def _heed(self, kind: int) -> None:
        if kind == SET_ENCODINGS:
            (count,) = struct.unpack(">xH", self.rfile.read(3))
            self.rfile.read(4 * count)
        elif kind == CUT_TEXT:
            (count,) = struct.unpack(">xxxI", self.rfile.read(7))
            self.rfile.read(count)
        else:
            rest = self.rfile.read(MESSAGE_BYTES.get(kind, 1) - 1)
            if kind == WANTS_UPDATE and rest[:1] == b"\x00":
                head = struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0)
                self.wfile.write(head + PIXEL * (WIDTH * HEIGHT))


class _Line(socketserver.StreamRequestHandler):
    """Says who it is, and gives back what is typed."""

    def handle(self) -> None:
        self.wfile.write(b"simulated guest\r\nlogin: ")
        while content := self.connection.recv(4096):
            self.connection.sendall(content)
