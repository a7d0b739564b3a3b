"""Removes what a switch made: everything that has its mark, and nothing else."""

import shutil
from pathlib import Path

from onestack.network.drivers.linux import masquerade, namespaces, nft, passage
from onestack.network.drivers.linux.firewall import FAMILIES
from onestack.network.drivers.linux.links import Links
from onestack.network.drivers.linux.names import Names
from onestack.network.drivers.linux.programs import Program


def remove_all(folder: Path, mark: str) -> None:
    """Remove what a switch with this mark made in this network namespace, and what it was told;
    the agent that made it must not be running."""
    take_down(folder, mark)
    shutil.rmtree(folder, ignore_errors=True)


def take_down(folder: Path, mark: str) -> None:
    """Remove what a switch made; what it was told stays, so that it can be made anew."""
    names = Names(mark)
    for each in [*folder.glob("*/*/*.process"), *folder.glob("*/*/*.log")]:
        Program(each.parent, each.stem).stop()
    for name in namespaces.listed(names.namespaces):
        namespaces.remove(name)
    namespaces.tidy()
    with Links() as links:
        links.remove(*links.named(names.alias))
    nft.load([*nft.Table(names.table, FAMILIES, ()).gone(), *masquerade.gone(names.table)])
    masquerade.restore(folder)
    for programs in ("dhcp", "routers"):
        shutil.rmtree(folder / programs, ignore_errors=True)
    if left := passage.gone(names.alias):
        nft.load(left)
