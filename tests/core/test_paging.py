"""Lists in pages: every row once, in order, also where a column has no value."""

from typing import Any

import pytest

from tests.cloud import Local


@pytest.fixture(scope="module")
def endpoints(local: Local) -> str:
    """A service with endpoints, some of which have no region."""
    service = local.admin.post("/services", {"service": {"type": "paged"}})["service"]
    for number in range(7):
        body: dict[str, Any] = {
            "service_id": service["id"],
            "interface": "public",
            "url": f"http://{number}",
        }
        if number % 2:
            body["region"] = f"paged-{number % 3}"
        local.admin.post("/endpoints", {"endpoint": body})
    service_id: str = service["id"]
    return service_id


@pytest.mark.parametrize("order", ["region_id:asc", "region_id:desc", "url:desc", "region_id,url"])
def test_pages_hold_every_row_once(local: Local, endpoints: str, order: str) -> None:
    path = f"/endpoints?service_id={endpoints}&sort={order}"
    whole = [each["id"] for each in local.admin.get(path)["endpoints"]]
    found = []
    following: str | None = f"{path}&limit=2"
    while following is not None:
        answer = local.admin.get(following)
        assert 1 <= len(answer["endpoints"]) <= 2
        found += [each["id"] for each in answer["endpoints"]]
        link = answer["links"]["next"]
        following = link.split("/identity/v3")[1] if link else None
    assert found == whole
    assert len(set(found)) == 7


@pytest.mark.parametrize(
    "query", ["sort_key=nothing", "sort=hash", "sort=url:sideways", "marker=none", "limit=-1",
              "limit=x", "sort=" + ",".join(["url"] * 9)],
)  # fmt: skip
def test_bad_pages_are_refused(local: Local, endpoints: str, query: str) -> None:
    local.admin.get(f"/endpoints?{query}", status=400)


def test_comparisons_mind_case_only_when_asked(local: Local) -> None:
    local.admin.post("/groups", {"group": {"name": "CaseMatters"}})

    def names(query: str) -> list[str]:
        return [group["name"] for group in local.admin.get(f"/groups?{query}")["groups"]]

    assert names("name__startswith=CaseM") == ["CaseMatters"]
    assert names("name__startswith=casem") == []
    assert names("name__istartswith=casem") == ["CaseMatters"]
    assert names("name__endswith=Matters") == ["CaseMatters"]
    assert names("name__iequals=casematters") == ["CaseMatters"]
    assert names("name__contains=%25") == []


def test_what_is_not_shown_is_no_filter(local: Local) -> None:
    everyone = local.admin.get("/users")["users"]
    assert local.admin.get("/users?created_at__startswith=x")["users"] == everyone
    local.admin.get("/users?sort_key=created_at", status=400)
