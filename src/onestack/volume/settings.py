"""The volume service's settings: [volume] in the settings file."""

import msgspec


class VolumeSettings(msgspec.Struct, frozen=True):
    """Everything of volumes that an operator may choose."""
