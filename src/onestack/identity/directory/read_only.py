"""What is a directory's is changed there, and not here."""

from onestack.core.context import Context
from onestack.core.errors import Forbidden
from onestack.identity.directory.directories import Directories
from onestack.identity.directory.record import DirectoryEntryRecord


class KeptInDirectory(Forbidden):
    message = (
        "LDAP does not support write operations: {kind}s of domain {domain_id} are kept in its "
        "directory, and are changed there."
    )


def refuse_change(ctx: Context, kind: str, record_id: str, domain_id: str) -> None:
    """Refuse if a user or group is a directory's; once its domain has none, it is like others."""
    if not ctx.cloud.get(Directories).has(domain_id):
        return
    if ctx.session.get(DirectoryEntryRecord, record_id) is not None:
        raise KeptInDirectory(kind=kind, domain_id=domain_id)


def refuse_creation(ctx: Context, kind: str, domain_id: str) -> None:
    """Refuse to make a user or group in a domain that has a directory."""
    if ctx.cloud.get(Directories).has(domain_id):
        raise KeptInDirectory(kind=kind, domain_id=domain_id)
