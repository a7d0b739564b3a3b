"""What the image service keeps in the cloud besides its rows: the store, and what was read."""

from onestack.core.bus import Bus
from onestack.core.context import Cloud
from onestack.core.db import Database
from onestack.image.images.snapshots import Snapshots
from onestack.image.store import UPKEEP_ADDRESS, Store, StoreSlot, StoreUpkeep


def wire(cloud: Cloud, store: Store) -> None:
    """Put the image service's parts into the cloud."""
    cloud.put(StoreSlot(store))
    cloud.put(Snapshots(cloud.get(Database), store.name))


def serve(bus: Bus, store: StoreUpkeep) -> None:
    """Let flows, wherever they run, ask for what the store needs now and then."""
    bus.serve(UPKEEP_ADDRESS, store, StoreUpkeep)
