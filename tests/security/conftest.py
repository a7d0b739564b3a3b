"""What the security tests of networks ask for: hosts with a real switch."""

from tests.network.linux.conftest import asker, host, make_host, pair

__all__ = ["asker", "host", "make_host", "pair"]
