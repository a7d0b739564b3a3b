"""The Linux driver of the switch contract: real packets, by the kernel's own means."""

from onestack.network.drivers.linux.options import LinuxOptions, MetadataOptions
from onestack.network.drivers.linux.removal import remove_all
from onestack.network.drivers.linux.switch import LinuxSwitch

__all__ = ["LinuxOptions", "LinuxSwitch", "MetadataOptions", "remove_all"]
