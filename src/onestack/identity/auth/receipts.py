"""Receipts: that a user proved itself by some methods, and may add those that are missing."""

import datetime as dt

import msgspec
from cryptography.fernet import InvalidToken

from onestack.core import clock
from onestack.identity.keys import KeyRepository

LIFETIME_S = 300
LIMIT = 2048


class Receipt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who was proven by what, and until when that counts."""

    user_id: str
    methods: tuple[str, ...]
    issued_at: dt.datetime
    expires_at: dt.datetime


class ReceiptKeys:
    """Writes receipts that only we can read."""

    def __init__(self, repository: KeyRepository) -> None:
        self.repository = repository

    def encode(self, receipt: Receipt) -> str:
        return self.repository.fernet.encrypt(msgspec.msgpack.encode(receipt)).decode()

    def decode(self, text: str) -> Receipt | None:
        """The receipt, unless it is not one of ours or has run out."""
        if len(text) > LIMIT or not text.isascii():
            return None
        try:
            content = self.repository.fernet.decrypt(text)
            receipt = msgspec.msgpack.decode(content, type=Receipt)
        except (InvalidToken, msgspec.DecodeError):
            return None
        return receipt if receipt.expires_at > clock.now() else None


def receipt_for(user_id: str, methods: tuple[str, ...]) -> Receipt:
    """A receipt that begins now."""
    now = clock.now()
    return Receipt(user_id, methods, now, now + dt.timedelta(seconds=LIFETIME_S))
