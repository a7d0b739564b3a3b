"""Guests of QEMU, through a libvirt that the agent starts itself."""

from onestack.compute.drivers.libvirt.acceleration import Parts
from onestack.compute.drivers.libvirt.driver import LibvirtHypervisor, LibvirtOptions

__all__ = ("LibvirtHypervisor", "LibvirtOptions", "Parts")
