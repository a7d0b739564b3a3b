"""A simulated switch: keeps what its host is told, and moves no packet."""

import threading

from onestack.network.switch import Applied, Changes, Item, Kind, SwitchDescription, Wiring


class SimulatedSwitch:
    """One host's wirings, each as it was told last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.wirings: dict[tuple[Kind, str], Wiring] = {}

    def describe(self) -> SwitchDescription:
        return SwitchDescription(
            driver="simulated",
            segments=["local", "flat", "vlan", "vxlan", "gre"],
            tunnel_address="127.0.0.1",
            physical_networks=["public", "physnet1"],
        )

    def apply(self, changes: Changes) -> Applied:
        done: list[Item] = []
        by_kind: list[tuple[Kind, list[Wiring]]] = [
            ("network", list(changes.networks)),
            ("group", list(changes.groups)),
            ("port", list(changes.ports)),
            ("router", list(changes.routers)),
        ]
        with self._lock:
            for kind, wirings in by_kind:
                for each in wirings:
                    self.wirings[kind, each.id] = each
                    done.append(Item(kind, each.id, each.revision))
            for item in changes.gone:
                self.wirings.pop((item.kind, item.id), None)
                done.append(item)
        return Applied(done)

    def inventory(self) -> list[Item]:
        with self._lock:
            return sorted(
                Item(kind, name, each.revision) for (kind, name), each in self.wirings.items()
            )
