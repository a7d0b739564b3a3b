"""What a project sees of the host that a server is on: the same host, another name to each."""

from functools import lru_cache
from hashlib import sha224


@lru_cache(maxsize=100_000)
def host_id(project_id: str, host: str | None) -> str:
    """A host's name for a project."""
    return "" if not host else sha224(f"{project_id}{host}".encode()).hexdigest()
