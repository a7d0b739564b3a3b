"""The last page of a login in the browser: it hands the token to the dashboard that asked."""

import base64
import hashlib
import re
from html import escape
from urllib.parse import urlsplit

import msgspec

# The button serves browsers without scripts. It has no name: a control called "submit" would hide
# the form's method of that name.
_SCRIPT = 'document.getElementById("sso").submit();'
_SCRIPT_HASH = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Logging in</title></head>
<body>
<form id="sso" name="sso" action="{host}" method="post">
<p>You are logged in. Taking you back to the dashboard ...</p>
<input type="hidden" name="token" id="token" value="{token}">
<button type="submit">Continue</button>
</form>
<script>{script}</script>
</body>
</html>
"""
_HOST_NAME = re.compile(r"[a-z0-9._-]+")


class CallbackPage(msgspec.Struct, frozen=True):
    """A page and the headers that it must be sent with."""

    body: bytes
    headers: dict[str, str]


class UnsafeDashboard(ValueError):
    """An address that no token may be posted to."""


def callback_page(host: str, token: str) -> CallbackPage:
    """The page that posts `token` to `host`, the address of a dashboard known to be trusted."""
    policy = (
        "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
        f"script-src 'sha256-{_SCRIPT_HASH}'; form-action {_form_source(host)}"
    )
    body = _PAGE.format(host=escape(host), token=escape(token), script=_SCRIPT)
    return CallbackPage(
        body.encode(),
        {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            # Not "no-referrer": the post would then say that it comes from nowhere, which
            # dashboards take for forgery.
            "Referrer-Policy": "strict-origin",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        },
    )


def _form_source(host: str) -> str:
    """The dashboard's origin, as a content security policy names it."""
    try:
        parts = urlsplit(host)
        port = parts.port
    except ValueError as error:
        raise UnsafeDashboard(f"{host!r} is not an address: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise UnsafeDashboard(f"{host!r} is not the address of a dashboard")
    if not _HOST_NAME.fullmatch(parts.hostname):
        # Policies cannot name IPv6 addresses or other than ASCII names.
        return f"{parts.scheme}:"
    return f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port is not None else "")
