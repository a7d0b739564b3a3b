"""The page in which a browser shows a guest's screen: noVNC, as the host has it installed."""

from pathlib import Path

from onestack.core.api import PUBLIC, Operations, Raw
from onestack.core.context import Context
from onestack.core.errors import NotFound, Unavailable

api = Operations("console pages")

FOLDER = Path("/usr/share/novnc")  # where Debian's package puts it
PAGE = "vnc_auto.html"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mp3": "audio/mpeg",
    ".oga": "audio/ogg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".woff": "font/woff",
}
# The page's own address holds the right to a console: it must not travel on to anybody.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "
        "media-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class NotInstalled(Unavailable):
    message = "noVNC is not installed where this is served; apt-get install novnc brings it."


@api.get("/console/{file*}", PUBLIC)
def page(_ctx: Context, file: str) -> Raw:
    """Answer a file of noVNC."""
    if not FOLDER.is_dir():
        raise NotInstalled
    path = (FOLDER / file).resolve()
    if not path.is_relative_to(FOLDER) or path.suffix not in TYPES or not path.is_file():
        raise NotFound
    return Raw(path.read_bytes(), content_type=TYPES[path.suffix], headers=HEADERS)
