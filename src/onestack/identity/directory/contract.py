"""The contract of directories: what is asked of a place where a domain's people are kept."""

from typing import Any, Protocol

import msgspec


class DirectoryFailed(Exception):
    """The directory answered with an error, or cannot be asked as it is configured."""


class DirectoryUnreachable(DirectoryFailed):
    """The directory did not answer."""


class DirectoryUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user as its directory has it."""

    key: str  # names it for ever within its directory
    name: str
    enabled: bool
    address: str  # where its password is checked
    listed_as: str  # how groups name it among their members
    default_project_id: str | None = None
    attributes: dict[str, Any] = {}


class DirectoryGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group as its directory has it."""

    key: str
    name: str
    description: str = ""
    members: list[str] = []  # as `listed_as` names users
    attributes: dict[str, Any] = {}


class Found(msgspec.Struct, frozen=True):
    """One user, and the groups that it is in; their members are not told."""

    user: DirectoryUser
    groups: list[DirectoryGroup]


class Directory(Protocol):
    """Somewhere users and groups live: it is only read, and every call ends within a time.

    A list is whole or it is an error: what is missing from it counts as gone.
    """

    def users(self) -> list[DirectoryUser]: ...

    def groups(self) -> list[DirectoryGroup]: ...

    def find_user(self, name: str) -> Found | None: ...

    def get_user(self, key: str) -> Found | None: ...

    def authenticate(self, address: str | None, password: str) -> bool:
        """Whether the password is right; where nobody is, the same work is done for nothing."""
        ...
