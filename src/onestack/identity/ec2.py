"""EC2 credentials: key pairs of users, and the tokens that requests signed with them are worth."""

import secrets

import msgspec
from msgspec.structs import replace
from sqlalchemy import select

from onestack.core import clock
from onestack.core.api import Operations, Page, Raw
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Unauthorized
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import Id, Shape, field
from onestack.identity import events
from onestack.identity.application_credentials.record import ApplicationCredentialRecord
from onestack.identity.auth.application_credential import bound
from onestack.identity.auth.proof import Proof
from onestack.identity.auth.signatures import Ec2Request, S3Request, verify_ec2, verify_s3
from onestack.identity.credential_keys import CredentialKeys
from onestack.identity.credentials.operations import lender
from onestack.identity.credentials.record import (
    EC2,
    CredentialNotFound,
    CredentialRecord,
    Ec2Blob,
    id_of_access,
    read_ec2,
)
from onestack.identity.projects.record import find as find_project
from onestack.identity.rules import ADMIN, READ, either
from onestack.identity.settings import IdentitySettings
from onestack.identity.style import links
from onestack.identity.tokens.issue import issued
from onestack.identity.tokens.lent import refuse_lent
from onestack.identity.users.login import is_inactive
from onestack.identity.users.record import LoginRecord, UserRecord
from onestack.identity.users.record import find as find_user

api = Operations("ec2")

ALL = "/v3/users/{user_id}/credentials/OS-EC2"
ONE = f"{ALL}/{{credential_id}}"
OWNER = "user_id:%(target.credential.user_id)s"
METHOD = "ec2credential"


class Ec2Create(Shape):
    """The project that a new key pair is for."""

    tenant_id: Id


class Ec2View(Shape):
    """A key pair."""

    access: str
    secret: str
    user_id: str
    tenant_id: str | None
    trust_id: str | None
    links: dict[str, str]


class Ec2Answer(Shape):
    """A new key pair: asked for without a wrapper, answered in one."""

    credential: Ec2View


class Ec2Signed(Shape):
    """A request that was signed for EC2, under one of the names that services give it."""

    credentials: Ec2Request | None = None
    credential: Ec2Request | None = None
    legacy: Ec2Request | None = field(default=None, name="ec2Credentials")


class S3Signed(Shape):
    """A request that was signed for S3."""

    credentials: S3Request | None = None
    credential: S3Request | None = None


class NoCredentials(BadRequest):
    message = "Expecting to find credentials in the request body."


@api.post(
    ALL,
    Rule("identity:ec2_create_credential", either(ADMIN, "rule:owner")),
    status=201,
)
def create(ctx: Context, user_id: str, body: Ec2Create) -> Ec2Answer:
    """Create a key pair for a project."""
    ctx.allow()
    refuse_lent(ctx, "managing credentials")
    find_user(ctx.session, user_id)
    find_project(ctx.session, body.tenant_id)
    keys = {"access": secrets.token_hex(16), "secret": secrets.token_hex(16)}
    blob = msgspec.json.encode({**keys, "trust_id": None, **lender(ctx, user_id)}).decode()
    record = CredentialRecord(
        id=id_of_access(keys["access"]),
        user_id=user_id,
        project_id=body.tenant_id,
        type=EC2,
        encrypted_blob=ctx.cloud.get(CredentialKeys).encrypt(blob),
    )
    ctx.session.add(record)
    ctx.session.flush()
    events.emit(ctx.session, "credential.created", record.id)
    return Ec2Answer(credential=view(ctx, record))


@api.get(
    ALL,
    Rule("identity:ec2_list_credentials", either(READ, "rule:owner")),
    key="credentials",
)
def index(ctx: Context, user_id: str, query: PageQuery) -> Page[Ec2View]:
    """List a user's key pairs."""
    ctx.allow()
    find_user(ctx.session, user_id)
    mine = select(CredentialRecord).filter_by(user_id=user_id, type=EC2)
    return page(ctx, mine, CredentialRecord, query, view)


@api.get(ONE, Rule("identity:ec2_get_credential", either(READ, OWNER)), key="credential")
def show(ctx: Context, user_id: str, credential_id: str) -> Ec2View:
    """Show a key pair, by its access key."""
    return view(ctx, _permitted(ctx, user_id, credential_id))


@api.delete(ONE, Rule("identity:ec2_delete_credential", either(ADMIN, OWNER)))
def delete(ctx: Context, user_id: str, credential_id: str) -> None:
    """Delete a key pair, by its access key."""
    record = _permitted(ctx, user_id, credential_id)
    refuse_lent(ctx, "managing credentials")
    ctx.session.delete(record)
    events.emit(ctx.session, "credential.deleted", record.id)


@api.post(
    "/v3/ec2tokens",
    Rule("identity:ec2tokens_validate", "rule:service_or_admin"),
    threaded=True,
    reads=True,
)
def ec2_token(ctx: Context, body: Ec2Signed) -> Raw:
    """Answer a service the token that a request signed for EC2 is worth."""
    request = body.credentials or body.credential or body.legacy
    if request is None:
        raise NoCredentials
    record, keys = _signer(ctx, request.access)
    verify_ec2(request, keys.secret, clock.now(), _skew_minutes(ctx))
    return replace(issued(ctx, _proof(ctx, record, keys)), status=200)


@api.post(
    "/v3/s3tokens",
    Rule("identity:s3tokens_validate", "rule:service_or_admin"),
    threaded=True,
    reads=True,
)
def s3_token(ctx: Context, body: S3Signed) -> Raw:
    """Tell a service who signed a request for S3, and what that user may do; no token is given."""
    request = body.credentials or body.credential
    if request is None:
        raise NoCredentials
    record, keys = _signer(ctx, request.access)
    verify_s3(request, keys.secret, clock.now(), _skew_minutes(ctx))
    return replace(issued(ctx, _proof(ctx, record, keys)), status=200, headers={})


def view(ctx: Context, record: CredentialRecord) -> Ec2View:
    """A key pair as clients see it."""
    keys = read_ec2(ctx.cloud.get(CredentialKeys).decrypt(record.encrypted_blob))
    path = f"users/{record.user_id}/credentials/OS-EC2/{keys.access}"
    return Ec2View(
        access=keys.access,
        secret=keys.secret,
        user_id=record.user_id,
        tenant_id=record.project_id,
        trust_id=keys.trust_id,
        links=dict(links(ctx, path)),
    )


def _permitted(ctx: Context, user_id: str, access: str) -> CredentialRecord:
    ctx.allow(credential={"user_id": user_id})
    record = ctx.session.get(CredentialRecord, id_of_access(access))
    if record is None or record.type != EC2 or record.user_id != user_id:
        raise CredentialNotFound(credential_id=access)
    return record


def _signer(ctx: Context, access: str) -> tuple[CredentialRecord, Ec2Blob]:
    record = ctx.session.get(CredentialRecord, id_of_access(access))
    if record is None or record.type != EC2:
        raise Unauthorized
    return record, read_ec2(ctx.cloud.get(CredentialKeys).decrypt(record.encrypted_blob))


def _proof(ctx: Context, record: CredentialRecord, keys: Ec2Blob) -> Proof:
    """Whom the key pair stands for; made with rights that were lent, it has no others."""
    user = ctx.session.get_one(UserRecord, record.user_id)
    login = ctx.session.get(LoginRecord, user.id)
    if is_inactive(ctx.cloud.get(IdentitySettings), user, login):
        raise Unauthorized
    if keys.trust_id is not None or keys.access_token_id is not None:
        raise Unauthorized  # such tokens make no key pairs here
    if keys.app_cred_id is not None:
        lent_by = ctx.session.get(ApplicationCredentialRecord, keys.app_cred_id)
        facts = (record.user_id, record.project_id)
        if lent_by is None or (lent_by.user_id, lent_by.project_id) != facts:
            raise Unauthorized
        return bound(lent_by, METHOD)
    claims = {"project_id": record.project_id}
    return Proof(record.user_id, (METHOD,), claims=claims, may_rescope=False)


def _skew_minutes(ctx: Context) -> int:
    return ctx.cloud.get(IdentitySettings).ec2_clock_skew_minutes
