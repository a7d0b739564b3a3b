"""The compute service's settings: [compute] in the settings file."""

import msgspec


class ComputeSettings(msgspec.Struct, frozen=True):
    """Everything of compute that an operator may choose."""
