"""Signing in through an identity provider: for programs, and in the browser for a dashboard."""

from sqlalchemy import select

from onestack.core.api import PUBLIC, Operations, Raw
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound, Unauthorized
from onestack.core.shapes import Shape
from onestack.identity.auth import mapped, multi_factor
from onestack.identity.auth.proof import Proof
from onestack.identity.federation.front_end import assertion, canonical
from onestack.identity.federation.record import ProtocolRecord, RemoteIdRecord
from onestack.identity.federation.websso import callback_page
from onestack.identity.settings import IdentitySettings
from onestack.identity.tokens.issue import issued

api = Operations("federated_authentication")

AUTH = "/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth"
WEBSSO = "/v3/auth/OS-FEDERATION/websso/{protocol_id}"
WEBSSO_OF_ONE = "/v3/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso"


class OriginQuery(Shape):
    """The dashboard that wants the token."""

    origin: str | None = None


class NoOrigin(BadRequest):
    message = "Request must have an origin query parameter."


class DashboardNotTrusted(Unauthorized):
    message = "{origin} is not a trusted dashboard host."


class NoRemoteId(Unauthorized):
    message = "Missing entity ID from environment"


class RemoteIdUnknown(NotFound):
    message = "Could not find Identity Provider: {remote_id}."


@api.get(AUTH, PUBLIC, threaded=True)
@api.post(AUTH, PUBLIC, threaded=True, reads=True)
def authenticate(ctx: Context, idp_id: str, protocol_id: str) -> Raw:
    """Issue an unscoped token to the user whom the trusted front-end names."""
    return _token(ctx, idp_id, protocol_id)


@api.get(WEBSSO, PUBLIC, threaded=True)
@api.post(WEBSSO, PUBLIC, threaded=True, reads=True)
def websso(ctx: Context, protocol_id: str, query: OriginQuery) -> Raw:
    """Hand a token to a dashboard, for a user of whichever provider the assertion names."""
    origin = _trusted(ctx, query.origin)
    return _page(origin, _token(ctx, _provider_asserting(ctx, protocol_id), protocol_id))


@api.get(WEBSSO_OF_ONE, PUBLIC, threaded=True)
@api.post(WEBSSO_OF_ONE, PUBLIC, threaded=True, reads=True)
def websso_of_one(ctx: Context, idp_id: str, protocol_id: str, query: OriginQuery) -> Raw:
    """Hand a token to a dashboard, for a user of one identity provider."""
    origin = _trusted(ctx, query.origin)
    return _page(origin, _token(ctx, idp_id, protocol_id))


def _token(ctx: Context, idp_id: str, protocol_id: str) -> Raw:
    proof: Proof = mapped.prove_at(ctx, idp_id, protocol_id)
    return issued(ctx, multi_factor.completed(ctx, proof))


def _page(origin: str, answer: Raw) -> Raw:
    page = callback_page(origin, answer.headers["X-Subject-Token"])
    headers = dict(page.headers)
    return Raw(page.body, content_type=headers.pop("Content-Type"), headers=headers)


def _trusted(ctx: Context, origin: str | None) -> str:
    """The dashboard's address, when it is literally one of those that may have tokens."""
    if not origin:
        raise NoOrigin
    if origin not in ctx.cloud.get(IdentitySettings).trusted_dashboards:
        raise DashboardNotTrusted(origin=origin[:200])
    return origin


def _provider_asserting(ctx: Context, protocol_id: str) -> str:
    """The provider that the assertion says it comes from, wherever its protocols say so."""
    asserted = assertion(ctx)
    setting = ctx.cloud.get(IdentitySettings).remote_id_header
    own = select(ProtocolRecord.remote_id_attribute).where(
        ProtocolRecord.id == protocol_id, ProtocolRecord.remote_id_attribute.is_not(None)
    )
    attributes = [*ctx.session.scalars(own.distinct()), setting]
    remote_ids = {asserted.get(canonical(each)) for each in attributes if each} - {None}
    if not remote_ids:
        raise NoRemoteId
    providers = (
        select(ProtocolRecord.idp_id)
        .join(RemoteIdRecord, RemoteIdRecord.idp_id == ProtocolRecord.idp_id)
        .where(ProtocolRecord.id == protocol_id, RemoteIdRecord.remote_id.in_(remote_ids))
    )
    found = set(ctx.session.scalars(providers))
    if len(found) != 1:
        raise RemoteIdUnknown(remote_id=", ".join(sorted(map(str, remote_ids)))[:200])
    return found.pop()
