"""What goes when a grant goes, or somebody, or something that roles were given on."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from onestack.identity.assignments.record import AssignmentRecord
from onestack.identity.memberships import MembershipRecord
from onestack.identity.tokens.revocation import revoke


def forget_grant(session: Session, record: AssignmentRecord) -> None:
    """Remove one grant, and void the tokens that used it."""
    session.delete(record)
    _void_tokens(session, [record])


def forget_role(session: Session, role_id: str) -> None:
    """Remove every grant of a role, and void the tokens that used one."""
    given = AssignmentRecord.role_id == role_id
    records = list(session.scalars(select(AssignmentRecord).where(given)))
    session.execute(delete(AssignmentRecord).where(given))
    _void_tokens(session, records)


def forget_actor(session: Session, kind: str, actor_id: str) -> None:
    """Remove the assignments of a user or group, and void the tokens that used them."""
    if kind == "group":
        for user_id in _members(session, actor_id):
            revoke(session, user_id=user_id)
        session.execute(delete(MembershipRecord).where(MembershipRecord.group_id == actor_id))
    else:
        session.execute(delete(MembershipRecord).where(MembershipRecord.user_id == actor_id))
    session.execute(
        delete(AssignmentRecord).where(
            AssignmentRecord.actor_kind == kind, AssignmentRecord.actor_id == actor_id
        )
    )


def forget_target(session: Session, kind: str, target_id: str) -> None:
    """Remove the assignments on a project or domain."""
    session.execute(
        delete(AssignmentRecord).where(
            AssignmentRecord.target_kind == kind, AssignmentRecord.target_id == target_id
        )
    )


def _void_tokens(session: Session, records: list[AssignmentRecord]) -> None:
    """Void the tokens that these grants gave rights to.

    Rights are read anew whenever a token is validated, so they end with the grant in any case;
    what is void stays so, even when the same role is granted again.
    """
    facts: dict[tuple[str, str, str], dict[str, str | None]] = {}
    members: dict[str, list[str]] = {}
    for record in records:
        users = [record.actor_id]
        if record.actor_kind == "group":
            if record.actor_id not in members:
                members[record.actor_id] = _members(session, record.actor_id)
            users = members[record.actor_id]
        kind, target_id = record.target_kind, record.target_id
        if record.inherited or kind not in ("project", "domain"):
            # No one project or domain is meant: all tokens of the user are.
            kind, target_id = "", ""
        for user_id in users:
            scope = {f"{kind}_id": target_id} if kind else {}
            facts[user_id, kind, target_id] = {"user_id": user_id, **scope}
    for each in facts.values():
        revoke(session, **each)


def _members(session: Session, group_id: str) -> list[str]:
    found = select(MembershipRecord.user_id).where(MembershipRecord.group_id == group_id)
    return list(session.scalars(found))
