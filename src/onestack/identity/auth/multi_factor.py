"""Multi-factor rules: by which methods together a user must prove itself."""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from onestack.core.context import Context
from onestack.core.errors import Unauthorized
from onestack.core.shapes import iso
from onestack.identity.auth.proof import Proof
from onestack.identity.auth.receipts import Receipt, ReceiptKeys, receipt_for
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.tokens.codec import METHODS
from onestack.identity.tokens.revocation import is_revoked
from onestack.identity.users.record import UserRecord

HEADER = "openstack-auth-receipt"

Rules = list[list[str]]


class MoreMethodsNeeded(Unauthorized):
    """Some of the proofs are there; the receipt saves giving them again."""

    def __init__(self, receipt: dict[str, Any], rules: Rules) -> None:
        super().__init__()
        self.members = {"receipt": receipt, "required_auth_methods": rules}


def in_order(names: Iterable[str]) -> list[str]:
    """The methods in the order in which they are checked.

    A right password forgives earlier failures, so it must not be asked before the passcode has
    been: else passcodes could be guessed without end by who knows the password.
    """
    return sorted(names, key=lambda name: name != "totp")


def completed(ctx: Context, proof: Proof) -> Proof:
    """The proof, with what a receipt adds to it, if together they are enough for this user."""
    user = ctx.session.get(UserRecord, proof.user_id)
    if user is None:
        raise Unauthorized
    text = ctx.request.headers.get(HEADER)
    if text is not None:
        earlier = _accepted(ctx, user, text)
        proof = replace(proof, methods=tuple(dict.fromkeys((*earlier.methods, *proof.methods))))
    rules = rules_of(user)
    if not rules or any(set(rule) <= set(proof.methods) for rule in rules):
        return proof
    if proof.claims or proof.expires_at is not None or not proof.may_rescope:
        raise Unauthorized  # a receipt does not hold these bounds, and would shed them
    receipt = receipt_for(user.id, proof.methods)
    refusal = MoreMethodsNeeded(_view(ctx, receipt, user), rules)
    written = ctx.cloud.get(ReceiptKeys).encode(receipt)
    raise refusal.with_headers(Openstack_Auth_Receipt=written)


def rules_of(user: UserRecord) -> Rules:
    """The rules that this user is under; one that names an unknown method is void, as upstream."""
    if user.options.get("multi_factor_auth_enabled") is False:
        return []
    rules: Rules = user.options.get("multi_factor_auth_rules") or []
    return [rule for rule in rules if rule and set(rule) <= set(METHODS)]


def _accepted(ctx: Context, user: UserRecord, text: str) -> Receipt:
    """The receipt that a request brings; it ends with the user's tokens."""
    receipt = ctx.cloud.get(ReceiptKeys).decode(text)
    if receipt is None or receipt.user_id != user.id:
        raise Unauthorized
    facts = {"user_id": user.id, "domain_id": user.domain_id}
    if is_revoked(ctx.session, facts, receipt.issued_at):
        raise Unauthorized
    return receipt


def _view(ctx: Context, receipt: Receipt, user: UserRecord) -> dict[str, Any]:
    domain = ctx.session.get_one(ProjectRecord, user.domain_id)
    return {
        "methods": list(receipt.methods),
        "user": {
            "id": user.id,
            "name": user.name,
            "domain": {"id": domain.id, "name": domain.name},
        },
        "issued_at": iso(receipt.issued_at),
        "expires_at": iso(receipt.expires_at),
    }
