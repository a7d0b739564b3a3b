"""What goes when somebody, or something that roles were given on, goes."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from onestack.identity.assignments.record import AssignmentRecord
from onestack.identity.memberships import MembershipRecord
from onestack.identity.tokens.revocation import revoke


def forget_actor(session: Session, kind: str, actor_id: str) -> None:
    """Remove the assignments of a user or group, and void the tokens that used them."""
    if kind == "group":
        members = select(MembershipRecord.user_id).where(MembershipRecord.group_id == actor_id)
        for user_id in session.scalars(members).all():
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
