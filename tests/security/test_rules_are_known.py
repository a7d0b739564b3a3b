"""A rule that refers to one that nobody states denies without a word; so there is none."""

import re

from onestack import main

REFERENCE = re.compile(r"\brule:([\w:.-]+)")


def test_every_rule_that_is_referred_to_is_stated() -> None:
    stated = {name for service in main.SERVICES for name in service.shared_rules}
    texts = {name: text for each in main.SERVICES for name, text in each.shared_rules.items()}
    for service in main.SERVICES:
        stated |= {rule.name for rule in service.rules}
        texts |= {rule.name: rule.check for rule in service.rules}
    unknown = {
        f"{name} refers to {each}"
        for name, text in texts.items()
        for each in REFERENCE.findall(text)
        if each not in stated
    }
    assert not unknown
