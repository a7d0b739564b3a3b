"""Whether a federated token still stands: its provider may be disabled or gone."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.identity.federation.record import (
    IdentityProviderRecord,
    ProtocolRecord,
    ServiceProviderRecord,
)
from onestack.identity.tokens.codec import Claims
from onestack.identity.tokens.delegation import TokenVoid


def check_provider(session: Session, claims: Claims) -> None:
    """Refuse a token whose identity provider is not trusted, or was not at some time since.

    A provider that is disabled and enabled again, or deleted and registered again, brings no old
    token back.
    """
    if claims.idp_id is None:
        return
    provider = session.get(IdentityProviderRecord, claims.idp_id)
    protocol = session.get(ProtocolRecord, (claims.protocol_id, claims.idp_id))
    if provider is None or protocol is None or not provider.enabled:
        raise TokenVoid("identity provider")
    if claims.issued_at <= max(provider.trusted_since, protocol.trusted_since):
        raise TokenVoid("identity provider")


def member(claims: Claims) -> dict[str, Any]:
    """What a federated token says of where its user comes from."""
    return {
        "identity_provider": {"id": claims.idp_id},
        "protocol": {"id": claims.protocol_id},
        "groups": [{"id": group_id} for group_id in claims.federated_groups],
    }


def service_providers(session: Session) -> list[dict[str, str]]:
    """The clouds that tokens may be taken to."""
    found = select(ServiceProviderRecord).where(ServiceProviderRecord.enabled)
    return [
        {"id": record.id, "auth_url": record.auth_url, "sp_url": record.sp_url}
        for record in session.scalars(found.order_by(ServiceProviderRecord.id))
    ]
