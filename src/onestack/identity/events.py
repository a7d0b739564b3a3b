"""Events of identity: what was done to which resource, such as `user.created`."""

from sqlalchemy.orm import Session

from onestack.core import event


def emit(session: Session, what: str, resource_id: str, **more: str) -> None:
    """Report a change, in the transaction that makes it."""
    payload = {"resource_info": resource_id, **more}
    event.emit(session, f"identity.{what}", payload, resource=resource_id)
