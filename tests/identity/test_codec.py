"""Tokens come back as they went out, are short, and nothing else passes for one."""

import base64
import datetime as dt
import hashlib
import hmac
import json
import re
import uuid
from pathlib import Path

import msgspec
import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from onestack.identity.keys import JwsKeys, KeyRepository
from onestack.identity.tokens.codec import (
    METHODS,
    TOKEN_LIMIT,
    Claims,
    Codec,
    FernetCodec,
    InvalidToken,
    JwsCodec,
    TokenTooLarge,
)

NOW = dt.datetime(2026, 3, 4, 5, 6, 7, 890123)
LATER = dt.datetime(2026, 3, 4, 6, 6, 7)
AUDIT = "3T2dc1CGQxyJsHdDu1xkcw"
PARENT = base64.urlsafe_b64encode(bytes(range(16))).decode().rstrip("=")


def claims(**changes: object) -> Claims:
    ordinary = Claims(
        user_id=uuid.uuid4().hex,
        methods=("password", "token"),
        issued_at=NOW,
        expires_at=LATER,
        audit_ids=(AUDIT, PARENT),
        project_id=uuid.uuid4().hex,
    )
    return replace(ordinary, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fernet(tmp_path_factory: pytest.TempPathFactory) -> FernetCodec:
    return FernetCodec(KeyRepository(tmp_path_factory.mktemp("fernet"), 3))


@pytest.fixture(scope="module")
def jws(tmp_path_factory: pytest.TempPathFactory) -> JwsCodec:
    return JwsCodec(JwsKeys(tmp_path_factory.mktemp("jws")))


@pytest.fixture(scope="module", params=["fernet", "jws"])
def codec(request: pytest.FixtureRequest) -> Codec:
    made: Codec = request.getfixturevalue(request.param)
    return made


texts = st.text(st.characters(codec="utf-8"), max_size=40)
uuids = st.uuids(version=4)
ids = st.one_of(
    uuids.map(lambda u: u.hex),
    uuids.map(str),
    uuids.map(lambda u: str(u).upper()),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
    st.sampled_from(["default", "admin", "", "g" * 32, "A" * 32, "a-" * 18, "b" * 34]),
    texts,
)
optional_ids = st.none() | ids
audit_ids = st.one_of(
    st.binary(min_size=16, max_size=16).map(
        lambda content: base64.urlsafe_b64encode(content).decode().rstrip("=")
    ),
    st.sampled_from(["_" * 22, "é" * 22, "short"]),
)
times = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2200, 1, 1))
scopes = st.one_of(
    st.just({}),
    st.just({"system": True}),
    ids.map(lambda text: {"project_id": text}),
    ids.map(lambda text: {"domain_id": text}),
)


@st.composite
def any_claims(draw: st.DrawFn) -> Claims:
    return Claims(
        user_id=draw(ids),
        methods=tuple(draw(st.lists(st.sampled_from(METHODS) | texts, max_size=4))),
        issued_at=draw(times),
        expires_at=draw(times),
        audit_ids=tuple(draw(st.lists(audit_ids, min_size=1, max_size=2))),
        trust_id=draw(optional_ids),
        application_credential_id=draw(optional_ids),
        access_token_id=draw(optional_ids),
        idp_id=draw(optional_ids),
        protocol_id=draw(optional_ids),
        federated_groups=tuple(draw(st.lists(ids, max_size=5))),
        thumbprint=draw(optional_ids),
        **draw(scopes),
    )


@given(said=any_claims())
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_goes_in_comes_out(codec: Codec, said: Claims) -> None:
    token = codec.encode(said)
    assert codec.decode(token) == said
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", token)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"project_id": None},
        {"project_id": None, "domain_id": "default"},
        {"project_id": None, "system": True},
        {"trust_id": uuid.uuid4().hex},
        {"application_credential_id": uuid.uuid4().hex, "methods": ("application_credential",)},
        {"methods": ("password", "totp", "token")},
        {"access_token_id": uuid.uuid4().hex, "methods": ("oauth1",)},
        {"user_id": "f" * 64},
    ],
)
def test_ordinary_fernet_tokens_are_short(fernet: FernetCodec, changes: dict[str, object]) -> None:
    assert len(fernet.encode(claims(**changes))) < 255


def test_expiry_is_in_whole_seconds_and_issue_is_exact(codec: Codec) -> None:
    said = claims(expires_at=LATER.replace(microsecond=999999))
    assert said.expires_at == LATER
    assert codec.decode(codec.encode(said)).issued_at == NOW


def test_one_scope_and_one_or_two_audit_ids() -> None:
    with pytest.raises(ValueError, match="one scope"):
        claims(system=True)
    with pytest.raises(ValueError, match="audit id"):
        claims(audit_ids=())
    with pytest.raises(ValueError, match="audit id"):
        claims(audit_ids=(AUDIT,) * 3)


def test_a_token_that_would_be_refused_is_not_made(codec: Codec) -> None:
    groups = tuple(uuid.uuid4().hex for _ in range(1000))
    with pytest.raises(TokenTooLarge):
        codec.encode(claims(federated_groups=groups))
    assert len(codec.encode(claims(federated_groups=groups[:100]))) < TOKEN_LIMIT


@given(text=st.text() | st.text("ABCabc012_-.=", max_size=300) | st.binary().map(repr))
@settings(deadline=None)
def test_nonsense_is_refused(codec: Codec, text: str) -> None:
    with pytest.raises(InvalidToken):
        codec.decode(text)


@given(data=st.data())
@settings(deadline=None)
def test_a_changed_token_is_refused(codec: Codec, data: st.DataObject) -> None:
    token = codec.encode(claims())
    place = data.draw(st.integers(0, len(token) - 1))
    changed = token[:place] + data.draw(st.characters()) + token[place + 1 :]
    if changed != token:
        with pytest.raises(InvalidToken):
            codec.decode(changed)
    with pytest.raises(InvalidToken):
        codec.decode(token[:place])


@pytest.mark.parametrize("spelling", ["{}=", "{}==", "{}\n", " {}", "{}A", "{}.", "\ud800{}"])
def test_a_token_has_one_spelling(codec: Codec, spelling: str) -> None:
    with pytest.raises(InvalidToken):
        codec.decode(spelling.format(codec.encode(claims())))


def test_bits_that_base64_leaves_over_are_no_second_spelling(jws: JwsCodec) -> None:
    token = jws.encode(claims())
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    neighbour = alphabet[alphabet.index(token[-1]) + 1]
    assert base64.urlsafe_b64decode(token.rpartition(".")[2] + "==") == base64.urlsafe_b64decode(
        token.rpartition(".")[2][:-1] + neighbour + "=="
    )
    with pytest.raises(InvalidToken):
        jws.decode(token[:-1] + neighbour)


def test_a_huge_token_is_refused(codec: Codec) -> None:
    for text in ("A" * (TOKEN_LIMIT + 1), "A" * 10_000_000, "A.A." + "A" * 10_000_000):
        with pytest.raises(InvalidToken):
            codec.decode(text)


def test_a_foreign_key_opens_nothing(codec: Codec, tmp_path: Path) -> None:
    for foreign in (
        FernetCodec(KeyRepository(tmp_path / "f", 3)),
        JwsCodec(JwsKeys(tmp_path / "j")),
    ):
        with pytest.raises(InvalidToken):
            codec.decode(foreign.encode(claims()))


def test_a_token_outlives_a_rotation_by_another_process(tmp_path: Path) -> None:
    ours, theirs = KeyRepository(tmp_path, 3), KeyRepository(tmp_path, 3)
    said = claims()
    before = FernetCodec(ours).encode(said)
    theirs.rotate()
    after = FernetCodec(theirs).encode(said)
    assert FernetCodec(ours).decode(before) == FernetCodec(ours).decode(after) == said


@given(content=st.binary(max_size=200))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_odd_content_under_our_own_key_is_refused(tmp_path: Path, content: bytes) -> None:
    keys = KeyRepository(tmp_path, 3)
    token = Fernet(keys.primary).encrypt(content).decode().rstrip("=")
    with pytest.raises(InvalidToken):
        FernetCodec(keys).decode(token)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, 2),
        (1, 7),
        (2, [99]),
        (2, [-99]),
        (3, 2**63),
        (3, "now"),
        (4, 2**62),
        (4, None),
        (5, []),
        (6, "x"),
        (7, 5),
    ],
)
def test_content_of_another_form_is_refused(tmp_path: Path, place: int, value: object) -> None:
    keys = KeyRepository(tmp_path, 3)
    token = FernetCodec(keys).encode(claims())
    content = msgspec.msgpack.decode(keys.fernet.decrypt(token + "=" * (-len(token) % 4)))
    content[place] = value
    changed = keys.fernet.encrypt(msgspec.msgpack.encode(content)).decode().rstrip("=")
    with pytest.raises(InvalidToken):
        FernetCodec(keys).decode(changed)


def test_a_signed_token_is_a_jwt_of_es256(jws: JwsCodec) -> None:
    header, payload, _ = jws.encode(claims(user_id="ada")).split(".")
    assert read(header) == {"alg": "ES256", "typ": "JWT"}
    assert read(payload)["sub"] == "ada"
    assert read(payload)["exp"] == 1772604367


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "typ": "JWT"},
        {"alg": "HS256", "typ": "JWT"},
        {"alg": "ES384", "typ": "JWT"},
        {"alg": "es256", "typ": "JWT"},
        {"alg": "ES256", "typ": "JWT", "jwk": {}},
        ["ES256"],
        None,
    ],
)
def test_another_algorithm_is_refused(tmp_path: Path, header: object) -> None:
    keys = JwsKeys(tmp_path)
    _, payload, signature = JwsCodec(keys).encode(claims()).split(".")
    content = f"{write(json.dumps(header).encode())}.{payload}"
    public = keys.public[0].public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    by_public_key = write(hmac.new(public, content.encode(), hashlib.sha256).digest())
    r, s = decode_dss_signature(keys.private.sign(content.encode(), ec.ECDSA(SHA256())))
    by_our_key = write(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    for forged in ("", signature, by_public_key, by_our_key, write(bytes(64))):
        with pytest.raises(InvalidToken):
            JwsCodec(keys).decode(f"{content}.{forged}")


def test_what_a_rotated_key_signed_is_still_good(tmp_path: Path) -> None:
    keys = JwsKeys(tmp_path)
    said = claims()
    token = JwsCodec(keys).encode(said)
    keys.rotate()
    assert JwsCodec(JwsKeys(tmp_path)).decode(token) == said


def read(part: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=="))
    return found


def write(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
