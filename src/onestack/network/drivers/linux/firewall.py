"""What passes between the ports of this host: the tables of nftables, and connections cut short."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec
from pyroute2.netlink.exceptions import NetlinkError

from onestack.core import log
from onestack.core.shell import CommandFailed
from onestack.network.drivers.linux import connections, groups, guard, nft
from onestack.network.drivers.linux.connections import Fate
from onestack.network.drivers.linux.names import Names
from onestack.network.drivers.linux.nft import Piece
from onestack.network.drivers.linux.store import Numbers
from onestack.network.switch import GroupWiring, PortWiring

T = TypeVar("T")

FAMILIES: tuple[nft.Family, ...] = ("bridge", "inet")


class Bridge(msgspec.Struct):
    """A bridge as the rules see it; one that is ours alone leads to nobody else's address."""

    name: str
    network_id: str
    is_own: bool


class Plan(msgspec.Struct):
    """What is to be changed together: None is gone. `troubles` tells what came of it otherwise."""

    bridges: dict[str, Bridge | None] = {}
    groups: dict[str, GroupWiring | None] = {}
    ports: dict[str, PortWiring | None] = {}
    troubles: dict[str, str] = {}
    unguarded: set[str] = set()  # ports that not even a closed door guards


class Firewall:
    """The tables, and what stands in them."""

    def __init__(self, names: Names, numbers: Numbers) -> None:
        self._numbers = numbers
        self._table = nft.Table(names.table, FAMILIES, guard.skeleton(names.table, names.legs))
        self._groups: dict[str, GroupWiring] = {}
        self._ports: dict[str, PortWiring] = {}
        self._stopped: dict[str, set[str]] = {}  # by network, whose connections bear the mark
        self._is_loaded = False

    def change(self, plan: Plan) -> None:
        """Carry out a plan. What the kernel refuses becomes a trouble, and lets nothing through."""
        before = groups.Judge(dict(self._groups)), dict(self._ports)
        self._note(plan)
        pieces = self._pieces(plan)
        # The second try is for tables that somebody else has emptied.
        if self._load(pieces) is not None and self._load_anew(pieces) is not None:
            self._load_each(pieces, plan)
        self._forget_connections(plan, *before)
        self._forget_numbers(plan)

    def zone(self, network_id: str) -> int:
        return self._numbers.of(f"network {network_id}")

    def _note(self, plan: Plan) -> None:
        _update(self._groups, plan.groups)
        _update(self._ports, plan.ports)

    def _pieces(self, plan: Plan) -> dict[str, Piece | None]:
        pieces: dict[str, Piece | None] = {}
        for name, bridge in plan.bridges.items():
            piece = None
            if bridge is not None:
                zone = self.zone(bridge.network_id)
                piece = guard.bridged(bridge.name, zone, is_own=bridge.is_own)
            pieces[f"bridge {name}"] = piece
        for name, port in plan.ports.items():
            key = f"port {name}"
            pieces[key] = self._guarded(key, port, plan) if port is not None else None
        for name, group in plan.groups.items():
            if group is not None:
                pieces[f"group {name}"], troubles = groups.compiled(group)
                if troubles:
                    plan.troubles[name] = "; ".join(troubles)
        return pieces | self._referred(pieces, plan)

    def _guarded(self, key: str, port: PortWiring, plan: Plan) -> Piece:
        try:
            return guard.guarded(port, self._numbers.of(key))
        except (ValueError, OverflowError) as error:
            plan.troubles[port.id] = str(error)
            return guard.closed(port)

    def _referred(self, pieces: Mapping[str, Piece | None], plan: Plan) -> dict[str, Piece | None]:
        """Groups that others refer to are there, though nothing may be known of them."""
        present = {**self._table.pieces, **pieces}
        needed = {each for piece in present.values() if piece for each in piece.groups}
        found: dict[str, Piece | None] = {}
        for name in needed - self._groups.keys():
            found[f"group {name}"] = groups.unknown(name)
        for name, group in plan.groups.items():
            if group is None and name not in needed:
                found[f"group {name}"] = None
        return found

    def _load(self, pieces: Mapping[str, Piece | None]) -> CommandFailed | None:
        """Change what the kernel has; what went wrong, if anything did: then nothing changed."""
        if not self._is_loaded:
            return self._load_anew(pieces)
        try:
            if commands := self._table.change(pieces):
                nft.load(commands)
        except CommandFailed as error:
            return error
        self._table.keep(pieces)
        return None

    def _load_anew(self, pieces: Mapping[str, Piece | None]) -> CommandFailed | None:
        """Load all that there is to be, whatever the kernel has."""
        whole = {**self._table.pieces, **pieces}
        there = {key: piece for key, piece in whole.items() if piece is not None}
        try:
            nft.load(self._table.whole(there))
        except CommandFailed as error:
            return error
        self._is_loaded = True
        self._table.keep(pieces)
        return None

    def _load_each(self, pieces: Mapping[str, Piece | None], plan: Plan) -> None:
        """One by one, so that one that is refused does not keep out the others."""
        fresh = [
            key.partition(" ")[2]
            for key, piece in pieces.items()
            if key.startswith("group ") and piece and key not in self._table.pieces
        ]
        self._load_anew({f"group {name}": groups.unknown(name) for name in fresh})
        order = ("bridge", "group", "port")
        by_kind = sorted(pieces, key=lambda key: order.index(key.partition(" ")[0]))
        there = [key for key in by_kind if pieces[key] is not None]
        for key in [*there, *(key for key in reversed(by_kind) if pieces[key] is None)]:
            failure = self._load({key: pieces[key]})
            if failure is not None:
                self._shut(key, failure, plan)

    def _shut(self, key: str, failure: CommandFailed, plan: Plan) -> None:
        """Let nothing through where the kernel did not take what should judge it."""
        kind, _, name = key.partition(" ")
        plan.troubles[name] = str(failure)
        log.warning("a piece of the firewall was refused", piece=key, reason=str(failure))
        if kind == "group":
            self._load({key: groups.unknown(name)})
        elif kind == "port" and name in self._ports:
            failure_too = self._load({key: guard.closed(self._ports[name])})
            if failure_too is not None:
                plan.unguarded.add(name)

    def _forget_numbers(self, plan: Plan) -> None:
        """Numbers that others may have now; no connection is left that bears them."""
        for name, bridge in plan.bridges.items():
            if bridge is None:
                try:
                    connections.forget_zone(self.zone(name))
                except CommandFailed as error:  # then nobody else is given its number
                    plan.troubles[name] = str(error)
                    continue
                self._stopped.pop(name, None)
                self._numbers.free(f"network {name}")
        for name, port in plan.ports.items():
            if port is None:
                self._numbers.free(f"port {name}")
        self._numbers.save()

    def _forget_connections(
        self, plan: Plan, judge: groups.Judge, ports: Mapping[str, PortWiring]
    ) -> None:
        """What was let through and would not be today must stop, established or not."""
        narrowed = {name for name in plan.groups if self._is_narrower(name, judge)}
        touched: dict[str, set[str]] = {}
        for name, port in {**ports, **self._ports}.items():
            old, new = ports.get(name), self._ports.get(name)
            is_narrower = old is not None and (
                new is None or _narrows(old, new) or not narrowed.isdisjoint(self._reach(new))
            )
            if old is not None and is_narrower:
                touched.setdefault(port.network_id, set()).add(name)
        for network_id, stopped in self._stopped.items():
            touched.setdefault(network_id, set()).update(stopped)
        today = groups.Judge(self._groups)
        for network_id, names in touched.items():
            fates = self._fates(names, ports, today)
            try:
                if connections.judge(self.zone(network_id), fates):
                    self._stopped[network_id] = names
                else:
                    self._stopped.pop(network_id, None)
            except (CommandFailed, NetlinkError) as error:
                for name in names:
                    plan.troubles[name] = f"old connections may go on: {error}"

    def _reach(self, port: PortWiring) -> set[str]:
        """The groups that say what a port may do, and those that their rules refer to."""
        direct = [self._groups[each] for each in port.groups if each in self._groups]
        remote = {rule.remote_group for each in direct for rule in each.rules if rule.remote_group}
        return {*port.groups, *remote}

    def _is_narrower(self, name: str, judge: groups.Judge) -> bool:
        old, new = judge.groups.get(name), self._groups.get(name)
        if old is None:
            return False
        if new is None:
            return True
        return not set(old.rules) <= set(new.rules) or not set(old.members) <= set(new.members)

    def _fates(
        self, names: Iterable[str], before: Mapping[str, PortWiring], today: groups.Judge
    ) -> Callable[[groups.Connection], Fate]:
        owners: dict[str, PortWiring | None] = {}
        for name in names:
            for port in (before.get(name), self._ports.get(name)):
                for address in port.addresses if port is not None else ():
                    new = self._ports.get(name)
                    owners[address] = new if new and address in new.addresses else None

        def fate(one: groups.Connection) -> Fate:
            for direction, address in (("egress", one.source), ("ingress", one.target)):
                if address not in owners:
                    continue
                port = owners[address]
                if port is None or not port.is_up:
                    return "over"
                if port.is_secured and not today.allows(direction, port.groups, one):  # type: ignore[arg-type]
                    return "refused"
            return "open"

        return fate


def _update(kept: dict[str, T], changes: Mapping[str, T | None]) -> None:
    for name, change in changes.items():
        if change is None:
            kept.pop(name, None)
        else:
            kept[name] = change


def _narrows(old: PortWiring, new: PortWiring) -> bool:
    """Whether a port may do less than before."""
    is_secured = new.is_secured and not old.is_secured
    is_down = old.is_up and not new.is_up
    lost = set(old.groups) - set(new.groups) or set(old.addresses) - set(new.addresses)
    return is_secured or is_down or bool(lost)
