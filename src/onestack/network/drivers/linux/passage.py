"""Firewalls of others on this host, such as Docker's: what they do not know, they drop, and that
would be all that passes over our bridges. They are told to leave that to our own rules."""

from collections.abc import Iterable
from typing import Any

import msgspec

from onestack.core import shell
from onestack.network.drivers.linux import nft
from onestack.network.drivers.linux.nft import ACCEPT, match, meta

FAMILIES = ("ip", "ip6", "inet")
OURS = "onestack-"  # how the tables of all switches begin

Chain = dict[str, Any]


def ensure(alias: str, bridges: Iterable[str]) -> None:
    """Have what stays on a bridge pass every chain of others; a name may end in a star."""
    wanted = {each: _stays_on(each) for each in bridges}
    commands: list[nft.Command] = []
    for chain in _chains():
        known = [each["expr"] for each in _rules(chain) if each.get("comment") == alias]
        commands += [
            {"insert": {"rule": {**_place(chain), "expr": rule, "comment": alias}}}
            for rule in wanted.values() if rule not in known
        ]  # fmt: skip
    if commands:
        nft.load(commands)


def gone(alias: str) -> list[nft.Command]:
    """Commands that remove what was put into the chains of others."""
    return [
        {"delete": {"rule": {**_place(chain), "handle": rule["handle"]}}}
        for chain in _chains() for rule in _rules(chain) if rule.get("comment") == alias
    ]  # fmt: skip


def _stays_on(bridge: str) -> nft.Rule:
    return [match(meta("iifname"), bridge), match(meta("oifname"), bridge), ACCEPT]


def _chains() -> list[Chain]:
    """The chains of others that forwarded packets enter by themselves."""
    return [
        chain for chain in _listed(["chains"], "chain")
        if chain.get("hook") == "forward" and chain["family"] in FAMILIES
        and not chain["table"].startswith(OURS)
    ]  # fmt: skip


def _rules(chain: Chain) -> list[dict[str, Any]]:
    return _listed(["chain", chain["family"], chain["table"], chain["name"]], "rule")


def _place(chain: Chain) -> dict[str, Any]:
    return {"family": chain["family"], "table": chain["table"], "chain": chain["name"]}


def _listed(what: list[str], kind: str) -> list[dict[str, Any]]:
    said = shell.run(["nft", "-j", "list", *what], timeout_s=nft.TIMEOUT_S).stdout
    return [each[kind] for each in msgspec.json.decode(said)["nftables"] if kind in each]
