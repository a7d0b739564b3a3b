"""What the cloud says of itself: health, metrics, the list of services."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from tests.cloud import Answer
from tests.core.toy_service import Toy


def counts(answer: Answer) -> dict[tuple[str, str, str], float]:
    """How many requests were counted by service, route and status."""
    return {
        (sample.labels["service"], sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
        if sample.name == "onestack_request_seconds_count"
    }


def test_the_root_lists_the_services(toy: Toy) -> None:
    body = toy.send("GET", "/").body
    assert [(each["name"], each["path"]) for each in body["services"]] == [("toy", "/toy")]
    assert re.fullmatch(r"\d+\.\d+\.\d+", body["version"])


def test_health(toy: Toy) -> None:
    answer = toy.send("GET", "/healthz")
    assert (answer.status, answer.body) == (200, {"status": "ok", "services": {"toy": "ok"}})


def test_a_cloud_without_its_database_is_not_well(toy_on: Toy) -> None:
    toy_on.ask("GET", "/toys", token="member")
    with toy_on.database.engine.begin() as connection:
        connection.execute(text("DROP TABLE revisions"))
    answer = toy_on.send("GET", "/healthz")
    assert (answer.status, answer.body["status"]) == (503, "unavailable")
    assert answer.headers["retry-after"]
    assert "revisions" not in answer.content.decode()


def test_a_request_without_its_database_is_told_to_come_back(toy_on: Toy) -> None:
    with toy_on.database.engine.begin() as connection:
        connection.execute(text("DROP TABLE toys"))
    answer = toy_on.ask("GET", "/toys", token="member")
    assert answer.status in (500, 503)
    assert "toys" not in answer.message


def test_requests_are_counted_by_route(toy: Toy) -> None:
    before = counts(toy.send("GET", "/metrics"))
    for path in ("/toys/1", "/toys/2", "/toys/3"):
        toy.ask("GET", path, token="member")
    toy.ask("GET", "/nowhere")
    toy.send("GET", "/nowhere")
    after = counts(toy.send("GET", "/metrics"))
    grown = {key: value - before.get(key, 0) for key, value in after.items()}
    assert {key: value for key, value in grown.items() if value and key[1] != "/metrics"} == {
        ("toy", "/toys/{toy_id}", "404"): 3,
        ("toy", "none", "404"): 1,
        ("onestack", "none", "404"): 1,
    }


def test_metrics_are_in_prometheus_format(toy: Toy) -> None:
    answer = toy.send("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = {family.name for family in text_string_to_metric_families(answer.content.decode())}
    assert {"onestack_request_seconds", "process_resident_memory_bytes"} <= names


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/openapi/toy"])
def test_what_all_may_read_needs_no_token_and_takes_no_other_method(toy: Toy, path: str) -> None:
    assert toy.send("GET", path).status == 200
    assert toy.send("HEAD", path).content == b""
    assert toy.send("POST", path).status == 405
