"""OAuth 1.0a signatures, against the RFC's own examples."""

import datetime as dt
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestack.identity.auth.oauth1_signature import (
    OAuthRequest,
    parse_authorization,
    read,
    sign,
    signature_base_string,
    verify,
)
from onestack.identity.auth.signatures import SignatureRejected

SECRETS = ("kd94hf93k423kf44", "pfkkdhi9sl3r4s00")
SIGNED_S = 137131202
PHOTOS = "http://photos.example.net/photos?file=vacation.jpg&size=original"
HEADER = (
    'OAuth realm="Photos", oauth_consumer_key="dpf43f3p2l4k3l03", '
    'oauth_token="nnch734d00sl2jdk", oauth_signature_method="HMAC-SHA1", '
    'oauth_timestamp="137131202", oauth_nonce="chapoH", '
    'oauth_signature="MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D"'
)


def at(seconds: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds)


def header(**parameters: str) -> str:
    return "OAuth " + ", ".join(f'{k}="{quote(v, safe="~")}"' for k, v in parameters.items())


def signed(method: str, url: str, form_body: str = "", **changes: str) -> OAuthRequest:
    """A request as a client would send it, read back."""
    oauth = {
        "oauth_consumer_key": "key",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(SIGNED_S),
        "oauth_nonce": "once",
        "oauth_version": "1.0",
        **changes,
    }
    oauth["oauth_signature"] = sign(OAuthRequest(method, url, oauth, form_body), *SECRETS)
    return read(method, url, header(**oauth), form_body)


def test_the_example_of_rfc_5849_section_1_2() -> None:
    request = read("GET", PHOTOS, HEADER)
    verify(request, SECRETS, at(SIGNED_S))
    assert (request.consumer_key, request.token, request.nonce) == (
        "dpf43f3p2l4k3l03",
        "nnch734d00sl2jdk",
        "chapoH",
    )
    assert request.verifier is None
    assert request.callback is None


def test_the_base_string_of_rfc_5849_section_3_4_1_1() -> None:
    request = read(
        "POST",
        "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b",
        'OAuth realm="Example", oauth_consumer_key="9djdj82h48djs9d2", '
        'oauth_token="kkk9d7dh3k39sjv7", oauth_signature_method="HMAC-SHA1", '
        'oauth_timestamp="137131201", oauth_nonce="7d8f3e4a", '
        'oauth_signature="bYT5CMsGcbgUdFHObYMEfcx6bsw%3D"',
        "c2&a3=2+q",
    )
    assert signature_base_string(request) == (
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D"
        "%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce"
        "%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26"
        "oauth_token%3Dkkk9d7dh3k39sjv7"
    )


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", PHOTOS),
        ("GET", PHOTOS.replace("vacation", "holiday")),
        ("GET", PHOTOS + "&more="),
        ("GET", PHOTOS.replace("http", "https")),
        ("GET", PHOTOS.replace("net/", "net:8080/")),
        ("GET", PHOTOS.replace("/photos?", "/Photos?")),
    ],
)
def test_another_request_does_not_match(method: str, url: str) -> None:
    with pytest.raises(SignatureRejected, match="does not match"):
        verify(read(method, url, HEADER), SECRETS, at(SIGNED_S))


@pytest.mark.parametrize("secrets", [("", ""), ("kd94hf93k423kf44", ""), SECRETS[::-1]])
def test_other_secrets_do_not_match(secrets: tuple[str, str]) -> None:
    with pytest.raises(SignatureRejected, match="does not match"):
        verify(read("GET", PHOTOS, HEADER), secrets, at(SIGNED_S))


@pytest.mark.parametrize("url", [PHOTOS + "#part", PHOTOS.replace("net/", "NET:80/")])
def test_the_same_address_in_another_spelling_matches(url: str) -> None:
    verify(read("GET", url, HEADER), SECRETS, at(SIGNED_S))


def test_a_signature_is_good_within_the_window_only() -> None:
    request = read("GET", PHOTOS, HEADER)
    for off in (-600, 0, 600):
        verify(request, SECRETS, at(SIGNED_S + off))
    for off in (-601, 601, 10**9):
        with pytest.raises(SignatureRejected, match="too far from now"):
            verify(request, SECRETS, at(SIGNED_S + off))


def test_sha256_is_known_and_plaintext_only_on_demand() -> None:
    verify(signed("GET", PHOTOS, oauth_signature_method="HMAC-SHA256"), SECRETS, at(SIGNED_S))
    plain = signed("GET", PHOTOS, oauth_signature_method="PLAINTEXT")
    verify(plain, SECRETS, at(SIGNED_S), allowed=["PLAINTEXT"])
    with pytest.raises(SignatureRejected, match="not allowed"):
        verify(plain, SECRETS, at(SIGNED_S))


@pytest.mark.parametrize("method", ["RSA-SHA1", "hmac-sha1", "none"])
def test_another_method_is_refused(method: str) -> None:
    request = read("GET", PHOTOS, HEADER.replace("HMAC-SHA1", method))
    with pytest.raises(SignatureRejected):
        verify(request, SECRETS, at(SIGNED_S))
    with pytest.raises(SignatureRejected):
        verify(request, SECRETS, at(SIGNED_S), allowed=[method])


@given(
    name=st.text(min_size=1).filter(lambda text: not text.startswith("oauth_")),
    value=st.text(),
    verifier=st.text(),
)
def test_any_text_survives_escaping(name: str, value: str, verifier: str) -> None:
    try:
        body = f"{quote(name)}={quote(value)}"
    except UnicodeEncodeError:
        return
    request = signed("POST", "https://[::1]:5000/v3?x", body, oauth_verifier="v" + verifier)
    verify(request, SECRETS, at(SIGNED_S))
    assert request.verifier == "v" + verifier


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "OAuth",
        "OAuth ",
        "Basic YTpi",
        HEADER + ",",
        HEADER + "\n,",
        HEADER + " trailing",
        HEADER + ', oauth_nonce="again"',
        HEADER.replace('"chapoH"', "chapoH"),
        HEADER.replace("chapoH", "chap%2"),
        HEADER.replace("chapoH", "chap%ff"),
        HEADER.replace("chapoH", "chap oH"),
        HEADER.replace("chapoH", "chap+oH"),
        HEADER.replace("chapoH", ""),
        HEADER.replace("chapoH", "n" * 257),
        HEADER.replace("137131202", "0"),
        HEADER.replace("137131202", "-137131202"),
        HEADER.replace("137131202", "137131202.0"),
        HEADER.replace("137131202", "9" * 5000),
        HEADER.replace("oauth_timestamp", "timestamp"),
        HEADER.replace("oauth_nonce", "nonce"),
        HEADER.replace("oauth_consumer_key", "consumer_key"),
        HEADER.replace("oauth_signature=", "signature="),
        HEADER + ', oauth_version="2.0"',
        HEADER + ', a="' + "a" * 9000 + '"',
    ],
)
def test_a_header_is_read_strictly(broken: str) -> None:
    with pytest.raises(SignatureRejected):
        read("GET", PHOTOS, broken)


@given(text=st.text() | st.text('OAuth oauth_k=",%é').map(lambda text: "OAuth " + text))
def test_a_random_header_is_read_or_refused(text: str) -> None:
    try:
        found = parse_authorization(text)
    except SignatureRejected:
        return
    assert found


@pytest.mark.parametrize(
    ("url", "body"),
    [
        (PHOTOS + "&oauth_token=other", ""),
        (PHOTOS, "oauth_nonce=other"),
        ("photos", ""),
        ("ftp://example.net/", ""),
        ("http://example.net:port/", ""),
        ("http://[::1/", ""),
        (PHOTOS + "&x=%ff", ""),
        (PHOTOS, "&".join(["a=1"] * 1001)),
    ],
)
def test_an_odd_request_is_refused_and_not_an_error(url: str, body: str) -> None:
    with pytest.raises(SignatureRejected):
        verify(read("POST", url, HEADER, body), SECRETS, at(SIGNED_S))
