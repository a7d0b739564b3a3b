"""The page that takes a token to the dashboard."""

import base64
import hashlib
from html.parser import HTMLParser

import pytest

from onestack.identity.federation.websso import UnsafeDashboard, callback_page

HORIZON = "https://horizon.example:8443/auth/websso/"


class Page(HTMLParser):
    """The tags of a page, and the text within its script."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.script = ""
        self.feed(body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and not self.script:
            self.script = data

    def only(self, tag: str) -> dict[str, str | None]:
        (found,) = [attributes for name, attributes in self.tags if name == tag]
        return found


def test_it_posts_the_token_to_the_dashboard() -> None:
    page = Page(callback_page(HORIZON, "gAAAA-token_").body)
    form, field = page.only("form"), page.only("input")
    assert (form["action"], form["method"]) == (HORIZON, "post")
    assert (field["name"], field["value"], field["type"]) == ("token", "gAAAA-token_", "hidden")
    assert page.only("button") == {"type": "submit"}
    assert form["id"] in page.script


def test_the_policy_allows_just_this_script_and_this_form() -> None:
    page = callback_page(HORIZON, "t")
    digest = hashlib.sha256(Page(page.body).script.encode()).digest()
    directives = dict(
        directive.strip().split(" ", 1)
        for directive in page.headers["Content-Security-Policy"].split(";")
    )
    assert directives["script-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert directives["default-src"] == directives["frame-ancestors"] == "'none'"
    assert directives["form-action"] == "https://horizon.example:8443"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    "hostile",
    ['"><img src=x onerror=alert(1)>', "' onx='1", "</form><script>alert(1)</script>", "&"],
)
def test_hostile_values_stay_values(hostile: str) -> None:
    page = Page(callback_page(HORIZON + hostile, hostile).body)
    assert page.only("form")["action"] == HORIZON + hostile
    assert page.only("input")["value"] == hostile
    harmless = Page(callback_page(HORIZON, "t").body)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in harmless.tags]


@pytest.mark.parametrize(
    "host",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//horizon.example/auth",
        "/auth/websso/",
        "",
        "ftp://horizon.example/",
        "https://",
        "https://user:pass@horizon.example/",
        "https://horizon.example:port/",
        "https://[::1/",
    ],
)
def test_a_token_is_posted_only_over_http(host: str) -> None:
    with pytest.raises(UnsafeDashboard):
        callback_page(host, "t")


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("http://horizon/auth", "http://horizon"),
        ("https://[2001:db8::1]:443/auth", "https:"),
        ("https://ho;rizon script-src *.example/", "https:"),
        ("HTTPS://Horizon.Example/", "https://horizon.example"),
    ],
)
def test_addresses_never_widen_the_policy(host: str, source: str) -> None:
    policy = callback_page(host, "t").headers["Content-Security-Policy"]
    assert policy.endswith(f"form-action {source}")
    assert policy.count(";") == 4
