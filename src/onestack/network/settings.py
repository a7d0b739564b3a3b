"""The network service's settings: [network] in the settings file."""

import msgspec


class NetworkSettings(msgspec.Struct, frozen=True):
    """Everything of networks that an operator may choose."""
