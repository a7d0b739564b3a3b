"""Guests as machines: switched on and off."""

from typing import Any

from onestack.compute.drivers.libvirt.bindings import libvirt
from onestack.compute.drivers.libvirt.daemon import ignoring
from onestack.compute.hypervisor import Power
from onestack.core import clock

LOOK_S = 0.05
# A guest that is still booting does not hear the button, so it is pressed again.
PRESS_AGAIN_S = 5.0


def power_of(domain: Any) -> Power:
    """In which state a guest is."""
    state, _ = domain.state()
    if state in (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PMSUSPENDED):
        return "paused"
    if state == libvirt.VIR_DOMAIN_CRASHED:
        return "crashed"
    if state == libvirt.VIR_DOMAIN_SHUTOFF:
        return "suspended" if domain.hasManagedSaveImage() else "shutdown"
    return "running"


def is_running(domain: Any) -> bool:
    return power_of(domain) == "running"


def is_paused(domain: Any) -> bool:
    return power_of(domain) == "paused"


def begin(domain: Any) -> None:
    """Switch it on, or go on from what was saved."""
    with ignoring("OPERATION_INVALID"):  # it runs
        domain.create()


def end(domain: Any) -> None:
    """Switch it off."""
    with ignoring("OPERATION_INVALID", "NO_DOMAIN"):  # it is off
        domain.destroy()


def shut_down(*domains: Any, patience_s: float) -> None:
    """Press the button until the guests are off; pull the plug when it takes longer than that."""
    until = clock.monotonic() + patience_s
    press_at = clock.monotonic()
    while clock.monotonic() < until:
        listening = [each for each in domains if each.isActive() and not is_paused(each)]
        if not listening:
            break
        if clock.monotonic() >= press_at:
            for each in listening:
                with ignoring("OPERATION_INVALID", "OPERATION_FAILED"):
                    each.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
            press_at += PRESS_AGAIN_S
        clock.sleep(LOOK_S)
    for each in domains:
        if each.isActive():
            end(each)


def discard_saved(domain: Any) -> None:
    """Forget a saved state: the next start is a boot."""
    if domain.hasManagedSaveImage():
        domain.managedSaveRemove()


def forget(domain: Any) -> None:
    """Leave nothing of it in libvirt."""
    flags = (
        libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    )
    with ignoring("NO_DOMAIN"):
        domain.undefineFlags(flags)
