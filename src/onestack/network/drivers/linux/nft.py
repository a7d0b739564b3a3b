"""nftables as JSON: expressions, and tables that are changed piece by piece in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from onestack.core import shell

Family = Literal["bridge", "inet", "ip"]
Statement = dict[str, Any]
Rule = list[Statement]
Command = dict[str, Any]

ACCEPT: Statement = {"accept": None}
DROP: Statement = {"drop": None}
RETURN: Statement = {"return": None}
TIMEOUT_S = 60.0


class Piece(msgspec.Struct, frozen=True):
    """What one port, group or network adds to the tables; the keys say the family first."""

    chains: Mapping[tuple[Family, str], Sequence[Rule]] = {}
    sets: Mapping[tuple[Family, str], "Members"] = {}
    # The elements of maps: by the map, from a key to a verdict.
    entries: Mapping[tuple[Family, str], Mapping[Any, Statement]] = {}
    names: Mapping[tuple[Family, str], frozenset[str]] = {}
    groups: frozenset[str] = frozenset()  # the groups whose chains and sets it refers to


class Members(msgspec.Struct, frozen=True):
    """A set of addresses; the intervals do not overlap."""

    type: Literal["ipv4_addr", "ipv6_addr"]
    elements: tuple[Any, ...] = ()


def meta(key: str) -> Statement:
    return {"meta": {"key": key}}


def header(protocol: str, name: str) -> Statement:
    return {"payload": {"protocol": protocol, "field": name}}


def match(left: Any, right: Any, operator: str = "==") -> Statement:
    return {"match": {"op": operator, "left": left, "right": right}}


def assign(key: Statement, value: Any) -> Statement:
    return {"mangle": {"key": key, "value": value}}


def jump(chain: str) -> Statement:
    return {"jump": {"target": chain}}


def look_up(key: Any, verdicts: str) -> Statement:
    """Do what a map of verdicts says of a key; go on where it says nothing."""
    return {"vmap": {"key": key, "data": f"@{verdicts}"}}


def one_of(values: Iterable[Any]) -> Any:
    """A set that stands in a rule, or its only member."""
    listed = list(values)
    return listed[0] if len(listed) == 1 else {"set": listed}


def prefix(network: Any) -> Any:
    """An `ipaddress` network as nft has it: a plain address where it is only one."""
    address = str(network.network_address)
    if network.prefixlen == network.max_prefixlen:
        return address
    return {"prefix": {"addr": address, "len": network.prefixlen}}


def load(commands: Iterable[Command], *, check: bool = False) -> None:
    """Have the kernel carry out commands: all of them at once, or none."""
    text = msgspec.json.encode({"nftables": list(commands)})
    argv = ["nft", *(["-c"] if check else []), "-j", "-f", "-"]
    shell.run(argv, input=text, timeout_s=TIMEOUT_S)


class Table:
    """Tables of one name in several families: what the kernel has of each piece, and how to change
    that. The `skeleton` are the commands that follow the making of the tables."""

    def __init__(self, name: str, families: Sequence[Family], skeleton: Sequence[Command]) -> None:
        self.name, self.families, self.skeleton = name, families, skeleton
        self.pieces: dict[str, Piece] = {}

    def whole(self, pieces: Mapping[str, Piece]) -> list[Command]:
        """Commands that make the tables anew; nothing passes between the old and the new."""
        commands: list[Command] = []
        for family in self.families:
            table = {"table": {"family": family, "name": self.name}}
            commands += [{"add": table}, {"delete": table}, {"add": table}]
        return [*commands, *self.skeleton, *self._changed({}, pieces)]

    def gone(self) -> list[Command]:
        """Commands that remove the tables, whether or not they are there."""
        tables = [{"table": {"family": each, "name": self.name}} for each in self.families]
        return [command for each in tables for command in ({"add": each}, {"delete": each})]

    def change(self, pieces: Mapping[str, Piece | None]) -> list[Command]:
        """Commands that put pieces in the place of those that are there."""
        before = {key: self.pieces[key] for key in pieces if key in self.pieces}
        after = {key: piece for key, piece in pieces.items() if piece is not None}
        same = [key for key, piece in after.items() if before.get(key) == piece]
        for key in same:
            del before[key], after[key]
        return self._changed(before, after)

    def keep(self, pieces: Mapping[str, Piece | None]) -> None:
        """Note that the kernel has these now."""
        for key, piece in pieces.items():
            if piece is None:
                self.pieces.pop(key, None)
            else:
                self.pieces[key] = piece

    def _changed(self, before: Mapping[str, Piece], after: Mapping[str, Piece]) -> list[Command]:
        # What others refer to comes first and goes last.
        commands: list[Command] = []
        for piece in after.values():
            commands += self._make(piece)
        for key, piece in before.items():
            commands += self._empty(piece, after.get(key))
        for key, piece in after.items():
            commands += self._fill(piece, before.get(key))
        for key, piece in before.items():
            commands += self._unmake(piece, after.get(key))
        return commands

    def _make(self, piece: Piece) -> list[Command]:
        chains = [self._object("chain", key) for key in piece.chains]
        sets = [self._set(key, members.type) for key, members in piece.sets.items()]
        return [{"add": each} for each in (*chains, *sets)]

    def _empty(self, old: Piece, new: Piece | None) -> list[Command]:
        commands: list[Command] = []
        for where, verdicts in old.entries.items():
            kept = new.entries.get(where, {}) if new else {}
            stale = [key for key, verdict in verdicts.items() if kept.get(key) != verdict]
            commands += self._elements("delete", where, stale)
        for where, names in old.names.items():
            kept_names = new.names.get(where, frozenset()) if new else frozenset()
            commands += self._elements("delete", where, sorted(names - kept_names))
        for key, rules in old.chains.items():
            if new is None or new.chains.get(key) != rules:
                commands.append({"flush": self._object("chain", key)})
        for key, members in old.sets.items():
            if new is None or new.sets.get(key) != members:
                commands.append({"flush": self._set(key, members.type)})
        return commands

    def _fill(self, new: Piece, old: Piece | None) -> list[Command]:
        commands: list[Command] = []
        for key, members in new.sets.items():
            if members.elements and (old is None or old.sets.get(key) != members):
                commands += self._elements("add", key, members.elements)
        for (family, chain), rules in new.chains.items():
            if old is None or old.chains.get((family, chain)) != rules:
                commands += [add_rule(family, self.name, chain, each) for each in rules]
        for where, verdicts in new.entries.items():
            known = old.entries.get(where, {}) if old else {}
            fresh = [[key, each] for key, each in verdicts.items() if known.get(key) != each]
            commands += self._elements("add", where, fresh)
        for where, names in new.names.items():
            known_names = old.names.get(where, frozenset()) if old else frozenset()
            commands += self._elements("add", where, sorted(names - known_names))
        return commands

    def _unmake(self, old: Piece, new: Piece | None) -> list[Command]:
        chains = [key for key in old.chains if new is None or key not in new.chains]
        sets = [key for key in old.sets if new is None or key not in new.sets]
        return [
            *({"delete": self._object("chain", key)} for key in chains),
            *({"delete": self._set(key, old.sets[key].type)} for key in sets),
        ]

    def _object(self, kind: str, key: tuple[Family, str]) -> dict[str, Any]:
        return {kind: {"family": key[0], "table": self.name, "name": key[1]}}

    def _set(self, key: tuple[Family, str], kind: str) -> dict[str, Any]:
        made = self._object("set", key)
        made["set"] |= {"type": kind, "flags": ["interval"]}
        return made

    def _elements(
        self, verb: str, where: tuple[Family, str], elements: Sequence[Any]
    ) -> list[Command]:
        if not elements:
            return []
        content = {"family": where[0], "table": self.name, "name": where[1]}
        return [{verb: {"element": {**content, "elem": list(elements)}}}]


def add_rule(family: Family, table: str, chain: str, rule: Rule) -> Command:
    return {"add": {"rule": {"family": family, "table": table, "chain": chain, "expr": rule}}}


def add_chain(family: Family, table: str, name: str, hook: str = "", priority: int = 0) -> Command:
    """A chain; with a hook it is one that packets enter by themselves."""
    content: dict[str, Any] = {"family": family, "table": table, "name": name}
    if hook:
        kind = "nat" if name.startswith("nat-") else "filter"
        content |= {"type": kind, "hook": hook, "prio": priority, "policy": "accept"}
    return {"add": {"chain": content}}
