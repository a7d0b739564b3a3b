"""What only tokens signed by certificates needed: it is gone, and says so."""

from onestack.core.api import PUBLIC, Operations
from onestack.core.context import Context
from onestack.core.errors import Gone
from onestack.core.policy import Rule

api = Operations("legacy")


class CertificatesGone(Gone):
    message = "This API is no longer available due to the removal of support for PKI tokens."


@api.get(
    "/v3/auth/tokens/OS-PKI/revoked", Rule("identity:revocation_list", "rule:service_or_admin")
)
def revoked(ctx: Context) -> None:
    """Listed the signed tokens that were revoked; OS-REVOKE/events has taken its place."""
    raise Gone


@api.get("/v3/OS-SIMPLE-CERT/ca", PUBLIC)
@api.get("/v3/OS-SIMPLE-CERT/certificates", PUBLIC)
def certificates(ctx: Context) -> None:
    """Showed the certificates by which tokens were signed."""
    raise CertificatesGone
