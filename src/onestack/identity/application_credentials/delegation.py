"""What a token by application credential stands for now."""

from sqlalchemy.orm import Session

from onestack.core.context import AccessRule
from onestack.identity.application_credentials.record import ApplicationCredentialRecord
from onestack.identity.assignments import effective
from onestack.identity.tokens.codec import Claims
from onestack.identity.tokens.delegation import Delegation, TokenVoid


def delegate(session: Session, claims: Claims) -> Delegation:
    """The user of the credential, with those of its roles that the user has still.

    The token ends when the credential does: that is said in the token itself.
    """
    record = session.get(ApplicationCredentialRecord, claims.application_credential_id)
    if record is None:
        raise TokenVoid("application credential")
    if (record.user_id, record.project_id) != (claims.user_id, claims.project_id):
        raise TokenVoid("application credential of others")
    lent = {role.id for role in record.roles}
    restricted = not record.unrestricted
    member: dict[str, object] = {"id": record.id, "name": record.name, "restricted": restricted}
    caller: dict[str, object] = {
        "application_credential_id": record.id,
        "is_restricted": restricted,
    }
    if record.has_access_rules:
        rules = record.access_rules
        member["access_rules"] = [
            {"id": rule.id, "service": rule.service, "path": rule.path, "method": rule.method}
            for rule in rules
        ]
        caller["access_rules"] = tuple(
            AccessRule(rule.service, rule.method, rule.path) for rule in rules
        )
    return Delegation(
        user_id=record.user_id,
        role_ids=frozenset(effective.expand(lent, effective.implications(session))),
        members={"application_credential": member},
        caller=caller,
    )
