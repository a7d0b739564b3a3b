"""The little languages of placement's query strings: resources, traits, aggregates, trees."""

from collections.abc import Sequence

from onestack.core.errors import BadRequest
from onestack.core.shapes import Version
from onestack.placement.candidates import Wanted
from onestack.placement.names import INTEGER_MAX, canonical
from onestack.placement.style import BAD_VALUE, DUPLICATE_KEY, MISSING_VALUE


class BadQuery(BadRequest):
    message = "Invalid query string parameters: {reason}"


class BadValue(BadRequest):
    code = BAD_VALUE


class MissingValue(BadRequest):
    code = MISSING_VALUE


class DuplicateKey(BadRequest):
    code = DUPLICATE_KEY
    message = "Query parameter '{name}' may be specified only once."


class BadResources(BadRequest):
    message = (
        "Badly formed resources parameter. Expected resources query string parameter in form: "
        "?resources=VCPU:2,MEMORY_MB:1024. Got: {given}."
    )


def resources(text: str) -> dict[str, int]:
    """Amounts by resource class: VCPU:2,MEMORY_MB:1024."""
    if not text.strip():
        raise BadResources(given="empty string")
    found: dict[str, int] = {}
    for part in text.split(","):
        name, separator, amount = part.partition(":")
        if not separator or not name:
            raise BadResources(given=part)
        found[name] = _amount(name, amount)
    return found


def traits(values: Sequence[str], version: Version) -> Wanted:
    """Traits to have and not to have: HW_A,!HW_B, and since 1.39 in:HW_C,HW_D as well."""
    any_of: list[frozenset[str]] = []
    forbidden: set[str] = set()
    # Before it could be repeated, what came last was what counted.
    for value in values if version >= (1, 39) else values[-1:]:
        if value.startswith("in:"):
            if version < (1, 39):
                raise BadQuery(
                    reason="The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' only supported since "
                    "microversion 1.39."
                )
            any_of.append(frozenset(_trait_list(value, value[3:], version, may_forbid=False)))
            continue
        names = _trait_list(value, value, version, may_forbid=version >= (1, 22))
        any_of += [frozenset((name,)) for name in names if not name.startswith("!")]
        forbidden.update(name[1:] for name in names if name.startswith("!"))
    return Wanted(tuple(any_of), frozenset(forbidden))


def refuse_contradiction(wanted: Wanted, key: str) -> None:
    """A trait cannot be required and forbidden at once."""
    both = sorted(wanted.required & wanted.forbidden)
    if both:
        names = ", ".join(both)
        raise BadValue(f"Conflicting required and forbidden traits found in {key}: {names}")


def aggregates(values: Sequence[str], version: Version) -> Wanted:
    """Aggregates to be in, in:A,B for one of several, and since 1.32 !A and !in:A,B."""
    if len(values) > 1 and version < (1, 24):
        raise BadQuery(reason="Multiple member_of parameters are not supported")
    any_of: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for value in values:
        is_forbidding = value.startswith("!")
        if is_forbidding and version < (1, 32):
            raise BadQuery(
                reason="Forbidden member_of parameters are not supported in the specified "
                "microversion"
            )
        found = _aggregate_list(value[1:] if is_forbidding else value)
        if is_forbidding:
            forbidden |= found
        else:
            any_of.append(found)
    return Wanted(tuple(any_of), frozenset(forbidden))


def tree(value: str, key: str = "in_tree") -> str:
    """The provider whose tree is meant."""
    found = canonical(value)
    if found is None:
        raise BadQuery(reason=f"Expected '{key}' parameter to be a format of uuid. Got: {value}")
    return found


def _amount(name: str, text: str) -> int:
    try:
        amount = int(text) if len(text) <= 20 else INTEGER_MAX + 1
    except ValueError:
        raise BadRequest(
            f"Requested resource {name} expected positive integer amount. Got: {text}."
        ) from None
    if amount < 1:
        raise BadRequest(f"Requested resource {name} requires amount >= 1. Got: {text}.")
    if amount > INTEGER_MAX:
        raise BadRequest(f"Requested resource {name} is more than {INTEGER_MAX}. Got: {text}.")
    return amount


def _trait_list(value: str, listed: str, version: Version, *, may_forbid: bool) -> list[str]:
    names = [name.strip() for name in listed.split(",")]
    is_clean = all(
        name.removeprefix("!") and (may_forbid or not name.startswith("!")) for name in names
    )
    if not is_clean:
        example = "!CUSTOM_MAGIC" if version >= (1, 22) else "CUSTOM_MAGIC"
        raise BadQuery(
            reason="Expected 'required' parameter value of the form: "
            f"HW_CPU_X86_VMX,{example}. Got: {value}"
        )
    return names


def _aggregate_list(value: str) -> frozenset[str]:
    is_list = value.startswith("in:")
    parts = value.removeprefix("in:").split(",")
    if len(parts) > 1 and not is_list:
        raise BadQuery(
            reason="Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' "
            f"keyword using the valid microversion. Got: {value}"
        )
    found = [canonical(part) for part in parts]
    known = frozenset(each for each in found if each is not None)
    if None in found:
        raise BadQuery(
            reason=f"Expected 'member_of' parameter to contain valid UUID(s). Got: {value}"
        )
    return known
