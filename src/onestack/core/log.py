"""The log: one JSON object a line, with the request id, and secrets left out."""

import contextlib
import datetime as dt
import logging
import sys
import threading
import traceback
from typing import IO, TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType

from onestack.core import clock, trace

if TYPE_CHECKING:
    from onestack.core.context import Request

WAITING_MAX = 200  # lines about requests that are kept back to be written together
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_encode = msgspec.json.Encoder(enc_hook=str).encode
_threshold = LEVELS["info"]
_stream: IO[str] = sys.stderr
_waiting: list[bytes] = []
_turn = threading.Lock()


def configure(level: str, stream: IO[str] | None = None) -> None:
    """Write lines of `level` and above to `stream`; libraries' own lines join them."""
    global _threshold, _stream  # noqa: PLW0603 - there is one log
    _threshold = LEVELS[level]
    _stream = stream or sys.stderr
    root = logging.getLogger()
    root.handlers[:] = [_Bridge()]
    root.setLevel(max(_threshold, logging.WARNING))


def write(level: str, message: str, **fields: Any) -> None:
    """One line, when its level is high enough."""
    if LEVELS[level] >= _threshold:
        _keep(level, message, fields)
        flush()


def _keep(level: str, message: str, fields: dict[str, Any]) -> None:
    line: dict[str, Any] = {"time": clock.now().isoformat(), "level": level, "message": message}
    request_id = fields.pop("request_id", None) or trace.current_id()
    if request_id:
        line["request_id"] = request_id
    line.update(fields)
    try:
        _waiting.append(_encode(line))
    except (UnicodeError, TypeError, RecursionError, ValueError) as problem:
        # What cannot be said as JSON is no reason to fail whoever says it.
        said = {"level": level, "message": ascii(message), "unwritable": type(problem).__name__}
        _waiting.append(_encode({**said, "text": ascii(fields)[:2000]}))


def flush() -> None:
    """Write the lines that wait."""
    # A log that cannot be written (a full disk, a reader that went away) stops no request.
    with _turn, contextlib.suppress(OSError, ValueError):
        lines = _waiting.copy()
        del _waiting[: len(lines)]
        if not lines:
            return
        _stream.write((b"\n".join(lines) + b"\n").decode())
        _stream.flush()


def info(message: str, **fields: Any) -> None:
    write("info", message, **fields)


def warning(message: str, **fields: Any) -> None:
    write("warning", message, **fields)


def error(message: str, **fields: Any) -> None:
    write("error", message, **fields)


def exception(message: str, problem: BaseException, **fields: Any) -> None:
    """An error with where it came from; values of variables stay out of it."""
    frames = traceback.extract_tb(problem.__traceback__)
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
    write("error", message, error=type(problem).__name__, text=said(problem)[:500], where=where,
          **fields)  # fmt: skip


def said(problem: BaseException) -> str:
    """An exception's text; of a database's only the first line, for the rest may quote rows, and
    secrets with them."""
    is_of_database = type(problem).__module__.startswith(("sqlalchemy.", "psycopg."))
    return str(problem).partition("\n")[0] if is_of_database else str(problem)


def access(
    request: "Request", status: int, elapsed_s: float, request_id: str, global_id: str | None
) -> None:
    """The line of one request; the query string may hold secrets and is left out."""
    if _threshold > LEVELS["info"]:
        return
    line = _Access(
        clock.now(), "info", "request", request_id, request.method[:16], request.path[:500],
        status, round(elapsed_s * 1000, 3), request.client, global_id or UNSET,
    )  # fmt: skip
    _waiting.append(_encode(line))
    if len(_waiting) >= WAITING_MAX:
        flush()


class _Access(msgspec.Struct):
    """The line of one request; there are many of these."""

    time: dt.datetime
    level: str
    message: str
    request_id: str
    method: str
    path: str
    status: int
    ms: float
    client: str
    global_request_id: str | UnsetType


class _Bridge(logging.Handler):
    """Brings the lines of libraries that use the standard library's logging into ours."""

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= 40 else "warning" if record.levelno >= 30 else "info"
        write(level, record.getMessage(), logger=record.name)
