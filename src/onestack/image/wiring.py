"""What the image service keeps in the cloud besides its rows: the store, and what was read."""

from onestack.core.bus import Bus
from onestack.core.context import Cloud
from onestack.core.db import Database
from onestack.core.seal import Seal
from onestack.image.images.snapshots import Snapshots
from onestack.image.keeper import Keeper
from onestack.image.store import UPKEEP_ADDRESS, Store, StoreSlot, StoreUpkeep
from onestack.image.tickets import Gate


def wire(cloud: Cloud, store: Store, url: str, seal: Seal) -> None:
    """Put the image service's parts into the cloud; hosts reach it at `url`."""
    cloud.put(Gate(url, seal))
    cloud.put(StoreSlot(store))
    cloud.put(Snapshots(cloud.get(Database), store.name))


def serve(bus: Bus, store: Store) -> None:
    """Let flows, wherever they run, ask for what is done where the store is."""
    bus.serve(UPKEEP_ADDRESS, Keeper(store), StoreUpkeep)
