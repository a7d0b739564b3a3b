"""Proof by an identity provider elsewhere, whose word a mapping turns into a user of ours."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from onestack.core.context import Context
from onestack.core.db import Database
from onestack.core.errors import BadRequest, Conflict, Forbidden, Unauthorized
from onestack.core.shapes import Shape
from onestack.identity.auth import token
from onestack.identity.auth.proof import Proof
from onestack.identity.federation import memberships, provisions, shadows
from onestack.identity.federation.front_end import assertion, canonical
from onestack.identity.federation.mapping_rules import (
    InvalidMapping,
    MappedIdentity,
    MappedUser,
    MappingFailed,
    MappingRules,
    evaluate,
    validate,
)
from onestack.identity.federation.record import (
    IdentityProviderRecord,
    MappingRecord,
    ProtocolRecord,
    find_mapping,
    find_protocol,
    find_provider,
)
from onestack.identity.settings import IdentitySettings
from onestack.identity.tokens.validation import Tokens
from onestack.identity.users.login import EXPIRED, note_success, refusal
from onestack.identity.users.record import UserRecord

NAMES = ("mapped", "saml2", "openid")
ATTEMPTS = 3


class MappedIdentityBody(Shape):
    """The `mapped`, `saml2` or `openid` member of an authentication request."""

    identity_provider: str | None = None
    protocol: str | None = None
    id: str | None = None


class ProviderDisabled(Forbidden):
    message = "Identity Provider {idp_id} is disabled."


class ProviderUnnamed(BadRequest):
    message = "Could not find Identity Provider identifier in environment"


class ProviderMistaken(Forbidden):
    message = "Incoming identity provider identifier not included among the accepted identifiers."


class NotMapped(Unauthorized):
    message = "{reason}"


def prove(ctx: Context, given: dict[str, Any], method: str) -> Proof:
    """The user of whom the request's headers speak, or whose federated token is given."""
    try:
        asked = msgspec.convert(given, MappedIdentityBody)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input for {method}: {error}") from None
    if asked.id is not None:
        return _by_token(ctx, asked.id)
    if asked.identity_provider is None or asked.protocol is None:
        raise BadRequest(f"Expecting to find identity_provider and protocol in {method}.")
    asserted = assertion(ctx)
    protocol = find_protocol(ctx.session, asked.identity_provider, asked.protocol)
    # The path does not say whom the front-end asked, so the assertion must.
    return _proven(ctx, protocol, asserted, method, must_be_named=True)


def prove_at(ctx: Context, idp_id: str, protocol_id: str) -> Proof:
    """The user of whom the headers speak, at an address that only this provider's users reach."""
    asserted = assertion(ctx)
    protocol = find_protocol(ctx.session, idp_id, protocol_id)
    method = protocol_id if protocol_id in NAMES else NAMES[0]
    return _proven(ctx, protocol, asserted, method, must_be_named=False)


def _by_token(ctx: Context, token_id: str) -> Proof:
    if ctx.cloud.get(Tokens).subject(token_id).claims.idp_id is None:
        raise Unauthorized
    return token.prove(ctx, {"id": token_id})


def _proven(
    ctx: Context,
    protocol: ProtocolRecord,
    asserted: dict[str, str],
    method: str,
    *,
    must_be_named: bool,
) -> Proof:
    provider = find_provider(ctx.session, protocol.idp_id)
    if not provider.enabled:
        raise ProviderDisabled(idp_id=provider.id)
    _check_name(ctx, provider, protocol, asserted, must_be_named=must_be_named)
    identity = _evaluated(find_mapping(ctx.session, protocol.mapping_id), asserted)
    if identity.user.type == "local":
        return _local(ctx, identity.user, method)
    return _ephemeral(ctx, provider, protocol, identity, method)


def _check_name(
    ctx: Context,
    provider: IdentityProviderRecord,
    protocol: ProtocolRecord,
    asserted: dict[str, str],
    *,
    must_be_named: bool,
) -> None:
    """Refuse what another provider asserted, as far as the assertion says who did."""
    attribute = protocol.remote_id_attribute or ctx.cloud.get(IdentitySettings).remote_id_header
    remote_id = asserted.get(canonical(attribute))
    if remote_id is None:
        if must_be_named or protocol.remote_id_attribute or provider.remote_ids:
            raise ProviderUnnamed
    elif remote_id not in provider.remote_ids:
        raise ProviderMistaken


def _evaluated(record: MappingRecord, asserted: dict[str, str]) -> MappedIdentity:
    try:
        mapping = _canonical(validate(record.rules, record.schema_version))
        return evaluate(mapping, asserted, record.id)
    except (InvalidMapping, MappingFailed) as error:
        raise NotMapped(reason=error) from None


def _canonical(mapping: MappingRules) -> MappingRules:
    """The mapping, asking for attributes by the names that they have here."""
    return MappingRules(
        mapping.schema_version,
        [
            msgspec.structs.replace(
                rule,
                remote=[
                    msgspec.structs.replace(each, type=canonical(each.type)) for each in rule.remote
                ],
            )
            for rule in mapping.rules
        ],
    )


def _local(ctx: Context, mapped: MappedUser, method: str) -> Proof:
    """A user who has been here before, with its own groups and roles."""
    if mapped.id:
        user = ctx.session.get(UserRecord, mapped.id)
    else:
        domain = provisions.domain_of(ctx.session, mapped.domain, "")
        named = (UserRecord.domain_id == domain.id, UserRecord.name == mapped.name)
        user = ctx.session.scalar(select(UserRecord).where(*named))
    return admitted(ctx, user, Proof("" if user is None else user.id, (method,)))


def _ephemeral(
    ctx: Context,
    provider: IdentityProviderRecord,
    protocol: ProtocolRecord,
    identity: MappedIdentity,
    method: str,
) -> Proof:
    """A user whom the provider vouches for, with what the mapping gives for it."""
    mapped = identity.user
    domain = provisions.domain_of(ctx.session, mapped.domain, provider.domain_id)
    group_ids = provisions.groups(ctx.session, identity)
    person = shadows.Person(
        idp_id=provider.id,
        protocol_id=protocol.id,
        unique_id=mapped.id or "",
        name=(mapped.name or "").strip(),
        domain_id=domain.id,
        email=mapped.email,
    )
    ctx.release()  # what follows writes, in a transaction of its own
    user_id = _settled(ctx, provider, person, identity, group_ids)
    claims = {
        "idp_id": provider.id,
        "protocol_id": protocol.id,
        "federated_groups": group_ids,
    }
    user = ctx.session.get(UserRecord, user_id)
    return admitted(ctx, user, Proof(user_id, (method,), claims=claims))


def _settled(
    ctx: Context,
    provider: IdentityProviderRecord,
    person: shadows.Person,
    identity: MappedIdentity,
    group_ids: Iterable[str],
) -> str:
    """The shadow's id, once it and its projects are there; first logins may meet each other."""
    attempts_left = ATTEMPTS
    while True:
        attempts_left -= 1
        try:
            with ctx.cloud.get(Database).transaction() as session:
                user_id = shadows.shadow(session, person)
                provisions.give(session, user_id, provider.domain_id, identity.projects)
                memberships.renew(
                    session, user_id, provider.id, group_ids, provider.authorization_ttl
                )
            return user_id
        except (IntegrityError, Conflict):
            if not attempts_left:
                raise


def admitted(ctx: Context, user: UserRecord | None, proof: Proof) -> Proof:
    """The proof, unless its user is unknown, disabled, locked out or has stayed away too long."""
    if user is None or refusal(ctx, user) not in (None, EXPIRED):
        raise Unauthorized
    ctx.release()
    note_success(ctx, user.id)
    return proof
