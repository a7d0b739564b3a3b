"""A search's answer as clients read it: a provider is written once, and again when it changes."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from onestack.core.shapes import Version
from onestack.placement.candidates import Candidate, Request, loners, together, total_of
from onestack.placement.forest import Forest, Provider


def write(forest: Forest, request: Request, version: Version) -> bytes:
    """The candidates of a request, and what is known of the providers in them."""
    limit = request.limit
    single = list(islice(loners(forest, request), limit))
    several = list(
        islice(together(forest, request), None if limit is None else limit - len(single))
    )
    requests = [*_single(single, request, version), *(_several(each, version) for each in several)]
    summaries = _summaries(forest, single, several, request, version)
    shown = (
        '{"allocation_requests":[', ",".join(requests),
        '],"provider_summaries":{', ",".join(summaries), "}}",
    )  # fmt: skip
    return "".join(shown).encode()


def _single(providers: Iterable[Provider], request: Request, version: Version) -> Iterator[str]:
    """The candidates in which one provider does everything: they differ in its id only."""
    total = _json(total_of(request))
    if version < (1, 12):
        for each in providers:
            yield (
                f'{{"allocations":[{{"resource_provider":{{"uuid":"{each.id}"}},'
                f'"resources":{total}}}]}}'
            )
        return
    if version < (1, 34):
        for each in providers:
            yield f'{{"allocations":{{"{each.id}":{{"resources":{total}}}}}}}'
        return
    if len(request.groups) == 1:
        suffix = next(iter(request.groups))
        for each in providers:
            own = each.id
            yield (
                f'{{"allocations":{{"{own}":{{"resources":{total}}}}},'
                f'"mappings":{{"{suffix}":["{own}"]}}}}'
            )
        return
    for each in providers:
        mappings = ",".join(f'"{suffix}":["{each.id}"]' for suffix in request.groups)
        yield (
            f'{{"allocations":{{"{each.id}":{{"resources":{total}}}}},"mappings":{{{mappings}}}}}'
        )


def _several(candidate: Candidate, version: Version) -> str:
    allocations: Any = {id_: {"resources": each} for id_, each in candidate.resources.items()}
    if version < (1, 12):
        allocations = [
            {"resource_provider": {"uuid": id_}, **each} for id_, each in allocations.items()
        ]
    shown = {"allocations": allocations}
    if version >= (1, 34):
        shown["mappings"] = candidate.mappings
    return _json(shown)


def _summaries(
    forest: Forest, single: list[Provider], several: list[Candidate], request: Request,
    version: Version,
) -> Iterator[str]:  # fmt: skip
    if version >= (1, 29):
        for provider in single:
            yield provider.summary or _summary(provider)
        taking_part = dict.fromkeys(id_ for each in several for id_ in each.resources)
        for root in dict.fromkeys(forest.providers[each].root_id for each in taking_part):
            for provider in forest.trees[root].values():
                yield provider.summary or _summary(provider)
        return
    ids = [each.id for each in single]
    ids += dict.fromkeys(id_ for each in several for id_ in each.resources)
    classes = None if version >= (1, 27) else total_of(request).keys()
    for id_ in ids:
        provider = forest.providers[id_]
        shown: dict[str, Any] = {"resources": _resources(provider, classes)}
        if version >= (1, 17):
            shown["traits"] = sorted(provider.traits)
        yield f'"{id_}":{_json(shown)}'


def _summary(provider: Provider) -> str:
    """How every version since 1.29 shows a provider."""
    shown = {
        "resources": _resources(provider, None),
        "traits": sorted(provider.traits),
        "parent_provider_uuid": provider.parent_id,
        "root_provider_uuid": provider.root_id,
    }
    provider.summary = f'"{provider.id}":{_json(shown)}'
    return provider.summary


def _resources(provider: Provider, classes: Iterable[str] | None) -> dict[str, dict[str, int]]:
    return {
        name: {"capacity": each.capacity, "used": each.used}
        for name, each in provider.stock.items()
        if classes is None or name in classes
    }


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
