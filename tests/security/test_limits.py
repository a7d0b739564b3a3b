"""OSSA-2016-004, OSSA-2021-006, OSSA-2012-003, OSSA-2014-034: nobody makes the cloud grow."""

import gc
import random
import string
from pathlib import Path
from typing import Any

import pytest

from onestack.core import metrics, shapes, trace
from onestack.identity.tokens.validation import Tokens
from tests.cloud import Local

PAGE_BYTES = 4096
REQUESTS = 3000


def memory_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def series() -> int:
    return len(metrics.exposition().splitlines())


def exchange(local: Local, messages: list[dict[str, Any]], **headers: str) -> tuple[int, int]:
    """The answer's status to a body that comes in messages, and how many of them were read."""
    scope = {
        "type": "http",
        "method": "POST",
        "raw_path": b"/identity/v3/auth/tokens",
        "query_string": b"",
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
        "client": ("127.0.0.1", 1),
    }
    sent: list[dict[str, Any]] = []
    coming = list(messages)

    async def receive() -> dict[str, Any]:
        return coming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    local.loop.run_until_complete(local.application(scope, receive, send))
    return sent[0]["status"], len(messages) - len(coming)


def part(content: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": content, "more_body": more}


def test_bodies_have_a_limit(local: Local) -> None:
    limit = local.application.limits.body_bytes
    answer = local.ask("POST", "/identity/v3/auth/tokens", b"x" * (limit + 1))
    assert answer.status == 413
    assert str(limit) in answer.message
    assert local.ask("POST", "/identity/v3/auth/tokens", b"x" * limit).status == 400


def test_an_announced_body_that_is_too_large_is_not_read(local: Local) -> None:
    assert exchange(local, [part(b"x")], content_length=str(1 << 40)) == (413, 0)


@pytest.mark.parametrize("length", ["-1", "x", "1e9", "٣", "9" * 5000])
def test_lengths_that_are_none_are_refused(local: Local, length: str) -> None:
    status, read = exchange(local, [part(b"x")], content_length=length)
    assert (status, read) == (413, 0)


def test_a_body_without_a_length_is_read_no_further_than_the_limit(local: Local) -> None:
    messages = [part(b"x" * 100_000) for _ in range(1000)]
    status, read = exchange(local, messages, transfer_encoding="chunked")
    assert (status, read) == (413, local.application.limits.body_bytes // 100_000 + 1)


def test_an_aborted_body_is_dropped(local: Local) -> None:
    before = memory_bytes()
    for _ in range(300):
        messages = [part(b"x" * 500_000), {"type": "http.disconnect"}]
        status, _ = exchange(local, messages, content_length="600000")
        assert status == 400
    assert memory_bytes() - before < 20 << 20


def test_urls_have_a_limit(local: Local) -> None:
    assert local.ask("GET", "/identity/v3/" + "x" * 9000).status == 414
    assert local.ask("GET", "/identity/v3/users?name=" + "x" * 9000).status == 414


def test_headers_have_a_limit(local: Local) -> None:
    assert local.ask("GET", "/identity/v3", headers={"x-long": "x" * 70_000}).status == 431
    many = {f"x-{number}": "x" * 100 for number in range(1000)}
    assert local.ask("GET", "/identity/v3", headers=many).status == 431
    assert local.ask("GET", "/identity/v3", token="x" * 70_000).status == 431


def test_a_query_has_so_many_fields(local: Local) -> None:
    fields = "&".join(f"f{number}=1" for number in range(300))
    assert local.ask("GET", f"/identity/v3/users?{fields}", token=local.token()).status == 400


def test_long_tokens_are_refused_quickly(local: Local) -> None:
    for token in ("x" * 60_000, "gAAAAA" + "A" * 60_000, "." * 60_000, "a.b." * 10_000):
        assert local.ask("GET", "/identity/v3/users", token=token).status == 401


def test_pages_have_a_limit(local: Local) -> None:
    for limit in ("10000000", "99999999999999999999999"):
        answer = local.ask("GET", f"/identity/v3/users?limit={limit}", token=local.token())
        assert answer.status in (200, 400)


def test_what_strangers_ask_leaves_nothing_behind(local: Local) -> None:
    """Random paths, methods, versions, tokens, ids and queries: nothing is kept of them."""
    chance = random.Random(7)
    token = local.token("demo")

    def word(size: int = 32) -> str:
        return "".join(chance.choices(string.ascii_letters + string.digits, k=size))

    def ask() -> None:
        path = chance.choice([
            f"/{word()}", f"/identity/v3/{word()}", f"/identity/v3/users/{word()}",
            f"/identity/v3/projects/{word()}/tags/{word()}", f"/identity/v3/regions/{word()}",
            f"/openapi/{word()}", f"/openapi/identity?version=3.{chance.randrange(10**6)}",
            f"/identity/v3/users?name={word()}&{word()}={word()}",
            f"/identity/v3/users?sort_key={word()}",
            f"/onestack/v1/traces/{word()}", f"/identity/v3/policies/{word()}",
        ])  # fmt: skip
        headers = {
            "openstack-api-version": f"identity {chance.randrange(10**4)}.{chance.randrange(99)}",
            "x-openstack-request-id": f"req-{word(8)}",
            f"x-{word()}": word(),
            "host": word(),
            "content-type": f"application/{word()}",
        }
        method = chance.choice(["GET", "GET", "HEAD", word(6).upper(), "POST", "PATCH"])
        who = chance.choice([None, token, word(), token[:-4] + word(4)])
        assert local.ask(method, path, None, who, headers).status != 500

    for _ in range(REQUESTS):
        ask()
    kept = series(), metrics.series_count(), shapes.at.cache_info().currsize
    before = memory_bytes()
    for _ in range(REQUESTS):
        ask()
    statuses_more = metrics.series_count() - kept[1]
    assert statuses_more <= 5
    assert series() - kept[0] <= 5 * (len(metrics.BUCKETS_S) + 4)
    assert shapes.at.cache_info().currsize == kept[2]
    assert memory_bytes() - before < 8 << 20
    assert len(trace._ring) <= trace.TRACES_MAX
    assert len(trace._by_name) <= trace.TRACES_MAX * 4


def test_the_routes_that_are_counted_are_those_declared(local: Local) -> None:
    local.ask("GET", "/identity/v3/users/never-heard-of", token=local.token())
    local.ask("GET", "/identity/v3/never/heard/of")
    content = local.ask("GET", "/metrics").content.decode()
    assert "never" not in content
    assert 'route="/v3/users/{user_id}"' in content


def test_caches_of_tokens_are_bounded(local: Local) -> None:
    tokens = local.cloud.get(Tokens)
    sizes = {name: len(value) for name, value in vars(tokens).items() if hasattr(value, "__len__")}
    for _ in range(20):
        local.login("demo", local.accounts["demo"]["password"])
    for number in range(2000):
        local.ask("GET", "/identity/v3/auth/projects", token=f"{number}" * 40)
    for name, value in vars(tokens).items():
        if hasattr(value, "__len__"):
            assert len(value) - sizes[name] < 100, name
