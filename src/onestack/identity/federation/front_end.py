"""The trusted front-end: who else may say, in headers, who a request comes from.

Federated users, and users known to the web server (the method `external`), are proven by a web
server in front of this cloud, with modules such as mod_auth_mellon, mod_auth_openidc or
mod_auth_gssapi. What it found out travels in headers, and a client could write such headers too
(OSSA-2026-001). So they count only together with a secret that the front-end alone knows:

* `federation_secret` in the settings: at least 16 characters. While it is empty nobody gets in
  this way.
* `federation_header_prefix`: how the names of these headers begin, `x-federation-` unless
  chosen otherwise. The front-end sends the secret as `X-Federation-Secret`, and each attribute as
  `X-Federation-` with its name: `X-Federation-Remote-User: jane` becomes the attribute
  `REMOTE_USER`. Mappings name attributes as OpenStack does: upper or lower case, dash or
  underscore are the same here, so that a mapping's `OIDC-email` is `X-Federation-Oidc-Email`.

What the front-end must do:

* drop every header of this prefix that a client sent, before it adds its own: in HAProxy
  `http-request del-header x-federation- -m beg`, in nginx `proxy_pass_request_headers off` and a
  `proxy_set_header` for each header that is needed, in Apache a `RequestHeader unset` for each
  attribute that a mapping reads, for `X-Federation-Remote-User` and for
  `X-Federation-Remote-Domain`;
* send the secret only from the places that it protects, those under `/identity/v3` whose paths end
  in `/auth` or contain `/websso`, each protected by the identity provider that its path names.

Headers with an underscore in their names never count: some servers pass them beside those with
dashes, and one could hide the other. Nor do other headers that tell who one is, by whatever name.
"""

import hmac

from onestack.core.context import Context
from onestack.core.errors import Unauthorized
from onestack.identity.settings import IdentitySettings

ABSENT = frozenset({"", "(null)"})  # Apache writes the latter for what it has no value of


class FederationOff(Unauthorized):
    message = (
        "This cloud trusts no web server to say who its users are: the setting "
        "federation_secret of [identity] is empty."
    )


def assertion(ctx: Context) -> dict[str, str]:
    """What the trusted front-end says of the user; refused when another sent the request."""
    settings, headers = ctx.cloud.get(IdentitySettings), ctx.request.headers
    if not settings.federation_secret:
        raise FederationOff
    prefix = settings.federation_header_prefix
    secret = f"{prefix}secret"
    given = headers.get(secret, "").encode("latin-1", "replace")
    if not hmac.compare_digest(given, settings.federation_secret.encode()):
        raise Unauthorized
    return {
        canonical(name.removeprefix(prefix)): _text(value)
        for name, value in headers.items()
        if name.startswith(prefix) and name not in (prefix, secret)
        if "_" not in name and value.strip() not in ABSENT
    }


def canonical(name: str) -> str:
    """The one spelling of an attribute's name."""
    return name.upper().replace("-", "_")


def _text(value: str) -> str:
    """A header's value: UTF-8 as web servers write it, else one character for each byte."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
