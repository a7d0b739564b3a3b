"""This cloud as an identity provider: it vouches for its users in other clouds."""

from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.api import PUBLIC, Operations, Raw
from onestack.core.context import Context
from onestack.core.errors import (
    BadRequest,
    Forbidden,
    MethodNotAllowed,
    Unavailable,
)
from onestack.core.shapes import Shape
from onestack.identity.auth.token import NotRescopable
from onestack.identity.catalog.record import EndpointRecord, ServiceRecord
from onestack.identity.federation.record import ServiceProviderRecord, find_service_provider
from onestack.identity.federation.saml_keys import SamlKeys
from onestack.identity.groups import GroupRecord
from onestack.identity.memberships import MembershipRecord
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.settings import IdentitySettings
from onestack.identity.tokens.validation import Tokens, Validated
from onestack.identity.tokens.view import Scoped

api = Operations("saml2")

XML = "text/xml"
LIFETIME_S = 3600
SAML = "/v3/auth/OS-FEDERATION/saml2"
ECP = "/v3/auth/OS-FEDERATION/saml2/ecp"


class TokenId(Shape):
    """A token."""

    id: str


class TokenOnly(Shape):
    """Who asks: whoever has a token for a project."""

    methods: list[Literal["token"]]
    token: TokenId


class ProviderReference(Shape):
    """A service provider."""

    id: str


class ProviderScope(Shape):
    """Where the assertion shall be believed."""

    service_provider: ProviderReference


class AssertionBody(Shape):
    """Which token to turn into an assertion, and for whom."""

    identity: TokenOnly
    scope: ProviderScope


class ServiceProviderDisabled(Forbidden):
    message = "Service Provider {sp_id} is disabled."


class NotForAProject(Forbidden):
    message = (
        "You are not authorized to perform the requested action: "
        "Use a project scoped token when attempting to create a SAML assertion."
    )


class NoEndpoint(Unavailable):
    message = "The catalogue has no public endpoint of the identity service to speak for."


class NotWritable(BadRequest):
    message = "The assertion cannot be written: {reason}."


@api.get("/v3/OS-FEDERATION/saml2/metadata", PUBLIC, threaded=True)
def metadata(ctx: Context) -> Raw:
    """Show what other clouds need in order to believe this one's assertions."""
    from onestack.identity.federation import saml

    root = _root(ctx)
    ctx.release()  # at the first request a key is made, which takes a while
    entity = saml.Entity(entity_id=f"{root}/idp", sso_endpoint=f"{root}/sso")
    document = saml.metadata(entity, ctx.cloud.get(SamlKeys))
    return Raw(saml.to_xml(document), content_type=XML)


@api.post(SAML, PUBLIC, key="auth", threaded=True, reads=True)
def assert_identity(ctx: Context, body: AssertionBody) -> Raw:
    """Assert to a service provider who the holder of a token is."""
    return _asserted(ctx, body, in_envelope=False)


@api.post(ECP, PUBLIC, key="auth", threaded=True, reads=True)
def assert_in_envelope(ctx: Context, body: AssertionBody) -> Raw:
    """Assert the same in the envelope that enhanced clients pass on."""
    return _asserted(ctx, body, in_envelope=True)


@api.get(SAML, PUBLIC)
@api.get(ECP, PUBLIC)
def refuse_get(_ctx: Context) -> None:
    """Assertions are made for a token in a request's body: there is nothing to get."""
    raise MethodNotAllowed().with_headers(Allow="POST")


def _asserted(ctx: Context, body: AssertionBody, *, in_envelope: bool) -> Raw:
    from onestack.identity.federation import saml

    held = _held(ctx, body.identity.token.id)
    provider = _open_provider(ctx.session, body.scope.service_provider.id)
    subject = saml.Subject(
        user=held.caller.user_name,
        user_domain=held.view.user.domain.name,
        roles=tuple(name for _, name in held.caller.roles),
        project=_project(held).name,
        project_domain=_project(held).domain.name,
        groups=_groups(ctx.session, held),
    )
    issuer = f"{_root(ctx)}/idp"
    ctx.release()  # signing takes a while, and making a key for it longer
    rest_s = int((held.claims.expires_at - clock.now()).total_seconds())
    lifetime_s = min(LIFETIME_S, rest_s)  # what the token is good for ends with it
    keys = ctx.cloud.get(SamlKeys)
    try:
        document = saml.response(keys, issuer, provider.sp_url, subject, lifetime_s)
    except saml.NotExpressible as error:
        raise NotWritable(reason=error) from None
    if in_envelope:
        document = saml.generate_ecp(document, provider.relay_state_prefix)
    headers = {"X-sp-url": provider.sp_url, "X-auth-url": provider.auth_url}
    return Raw(saml.to_xml(document), content_type=XML, headers=headers)


def _held(ctx: Context, token: str) -> Validated:
    """The token, if what it is good for may be taken to another cloud."""
    held = ctx.cloud.get(Tokens).subject(token)
    claims = held.claims
    if claims.trust_id or claims.application_credential_id or claims.access_token_id:
        raise NotRescopable  # over there nobody would end what was lent here
    if claims.project_id is None:
        raise NotForAProject
    return held


def _project(held: Validated) -> Scoped:
    project = held.view.project
    if not isinstance(project, Scoped):
        raise NotForAProject
    return project


def _open_provider(session: Session, sp_id: str) -> ServiceProviderRecord:
    record = find_service_provider(session, sp_id)
    if not record.enabled:
        raise ServiceProviderDisabled(sp_id=sp_id)
    return record


def _groups(session: Session, held: Validated) -> tuple[tuple[str, str], ...]:
    """The user's groups, with the names of their domains."""
    mine = select(MembershipRecord.group_id).where(MembershipRecord.user_id == held.caller.user_id)
    found = (
        select(GroupRecord.name, ProjectRecord.name)
        .join(ProjectRecord, ProjectRecord.id == GroupRecord.domain_id)
        .where(GroupRecord.id.in_(mine) | GroupRecord.id.in_(held.claims.federated_groups))
        .order_by(GroupRecord.id)
    )
    return tuple((group, domain) for group, domain in session.execute(found))


def _root(ctx: Context) -> str:
    """Where this cloud is known to others: what it signs must not say what a client made up."""
    found = (
        select(EndpointRecord.url)
        .join(ServiceRecord, ServiceRecord.id == EndpointRecord.service_id)
        .where(ServiceRecord.type == "identity", EndpointRecord.interface == "public")
        .where(EndpointRecord.region_id == ctx.cloud.get(IdentitySettings).region)
        .order_by(EndpointRecord.id)
    )
    url = ctx.session.scalars(found).first()
    if url is None:
        raise NoEndpoint
    return f"{url.rstrip('/').removesuffix('/v3')}/v3/OS-FEDERATION/saml2"
