"""Dictionaries in query strings, as clients write them: Python's way, or JSON's."""

import ast

import msgspec

from onestack.core.errors import BadRequest


class NoDictionary(BadRequest):
    message = "{text} is no dictionary of texts."


def dictionary(text: str) -> dict[str, str]:
    """What `{'name': 'value'}` says; nothing in it is run."""
    try:
        found = ast.literal_eval(text)
        return msgspec.convert(found, dict[str, str])
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise NoDictionary(text=text[:80]) from None
