"""EC2 and S3 signatures, against AWS's published examples and OpenStack's own signer."""

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestack.identity.auth.signatures import (
    Ec2Request,
    S3Request,
    SignatureRejected,
    verify_ec2,
    verify_s3,
)

# The keys that AWS prints in its documentation: one with a slash, one with a plus.
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SUITE_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SUITE_TIME = dt.datetime(2015, 8, 30, 12, 36)
NOW = dt.datetime(2026, 3, 4, 5, 6, 7)
EMPTY = hashlib.sha256(b"").hexdigest()
MINUTE = dt.timedelta(minutes=1)


def suite_request(
    signature: str, verb: str = "GET", params: dict[str, str] | None = None
) -> Ec2Request:
    """A request of the SigV4 test suite."""
    return Ec2Request(
        access="AKIDEXAMPLE",
        signature=signature,
        host="example.amazonaws.com",
        verb=verb,
        path="/",
        params=params or {},
        headers={
            "Host": "example.amazonaws.com",
            "X-Amz-Date": "20150830T123600Z",
            "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service"
            f"/aws4_request, SignedHeaders=host;x-amz-date, Signature={signature}",
        },
        body_hash=EMPTY,
    )


VANILLA = suite_request("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")


@pytest.mark.parametrize(
    "request_",
    [
        VANILLA,
        suite_request(
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            params={"Param2": "value2", "Param1": "value1"},
        ),
        suite_request(
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", verb="POST"
        ),
    ],
    ids=["get-vanilla", "get-vanilla-query-order-key-case", "post-vanilla"],
)
def test_the_version_4_test_suite(request_: Ec2Request) -> None:
    verify_ec2(request_, SUITE_SECRET, SUITE_TIME)
    with pytest.raises(SignatureRejected, match="Invalid EC2 signature"):
        verify_ec2(request_, SECRET, SUITE_TIME)


def test_the_version_2_example_of_aws() -> None:
    request = Ec2Request(
        access="AKIAIOSFODNN7EXAMPLE",
        signature="i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs=",
        host="elasticmapreduce.amazonaws.com",
        verb="GET",
        path="/",
        params={
            "Action": "DescribeJobFlows",
            "Version": "2009-03-31",
            "AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE",
            "SignatureVersion": "2",
            "SignatureMethod": "HmacSHA256",
            "Timestamp": "2011-10-03T15:19:30",
        },
    )
    verify_ec2(request, SECRET, dt.datetime(2011, 10, 3, 15, 20))


def ec2_v0(at: dt.datetime) -> Ec2Request:
    return ec2_query(at, "0")


def ec2_v1(at: dt.datetime) -> Ec2Request:
    return ec2_query(at, "1")


def ec2_v2(at: dt.datetime) -> Ec2Request:
    return ec2_query(at, "2")


def ec2_query(at: dt.datetime, version: str) -> Ec2Request:
    return Ec2Request(
        access="access",
        host="cloud.example.org:8773",
        verb="GET",
        path="/services/Cloud",
        params={
            "Action": "RunInstances",
            "AWSAccessKeyId": "access",
            "SignatureVersion": version,
            "SignatureMethod": "HmacSHA256",
            "Timestamp": at.isoformat() + "Z",
            "name": "a b+c~d/e*é",
        },
    )


def ec2_v4_by_header(at: dt.datetime) -> Ec2Request:
    return Ec2Request(
        access="access",
        host="cloud.example.org:8773",
        verb="GET",
        path="/services/Cloud",
        params={"Action": "DescribeInstances", "name": "a b+c~d/e*é"},
        headers={
            "Host": "cloud.example.org:8773",
            "X-Amz-Date": f"{at:%Y%m%dT%H%M%SZ}",
            "Authorization": f"AWS4-HMAC-SHA256 Credential=access/{at:%Y%m%d}/region/ec2/"
            "aws4_request,SignedHeaders=host;x-amz-date,Signature=there",
        },
        body_hash=EMPTY,
    )


def ec2_v4_by_query(at: dt.datetime) -> Ec2Request:
    return Ec2Request(
        access="access",
        host="cloud.example.org:8773",
        verb="GET",
        path="/",
        params={
            "Action": "DescribeInstances",
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"access/{at:%Y%m%d}/region/ec2/aws4_request",
            "X-Amz-Date": f"{at:%Y%m%dT%H%M%SZ}",
            "X-Amz-SignedHeaders": "host",
        },
        headers={"Host": "cloud.example.org:8773"},
        body_hash=EMPTY,
    )


Maker = Callable[[dt.datetime], Ec2Request]
MAKERS: list[Maker] = [ec2_v0, ec2_v1, ec2_v2, ec2_v4_by_header, ec2_v4_by_query]
every_kind = pytest.mark.parametrize("make", MAKERS)


# What python-keystoneclient 6.0's Ec2Signer answers for these requests, signed with SECRET at NOW.
SIGNED: dict[Maker, str] = {
    ec2_v0: "mK8FHb53fggGtX3jCFMqQRPvK/U=",
    ec2_v1: "r6yjvECGaH8IlPGcj7qREeaR4BQ=",
    ec2_v2: "l3HDKBF/G18RkUHLreV2T3/krlij9NXp0EXoZg3JWEQ=",
    ec2_v4_by_header: "3f303390db9c124a5c2ad71560b38f625a2a5aed25116da68d9c83d1047248a6",
    ec2_v4_by_query: "97c62d072db9f27b29ad602fcdeb47abc90fe3d01833de5493196f40c343fc27",
}
SIGNED_WITHOUT_PORT: dict[Maker, str] = {
    ec2_v2: "KCrtwmpgz22VVXkz8sBWEy0oReZUp2UCgwyhYDF0lt0=",
    ec2_v4_by_header: "37637a0f8e532f97166fc3b50c72a2f0bc7695b1712abb6a98e29fb0547313c0",
}


def signed(make: Maker) -> Ec2Request:
    return msgspec.structs.replace(make(NOW), signature=SIGNED[make])


@every_kind
def test_what_the_openstack_client_signs_is_accepted(make: Maker) -> None:
    verify_ec2(signed(make), SECRET, NOW)


@every_kind
@pytest.mark.parametrize("signature", ["", "wrong", "é", "\ud800", "A" * 10000])
def test_another_signature_is_refused(make: Maker, signature: str) -> None:
    request = msgspec.structs.replace(make(NOW), signature=signature)
    with pytest.raises(SignatureRejected, match="EC2 signature"):
        verify_ec2(request, SECRET, NOW)


@every_kind
def test_another_secret_is_refused(make: Maker) -> None:
    with pytest.raises(SignatureRejected, match="Invalid EC2 signature"):
        verify_ec2(signed(make), "other", NOW)


@every_kind
def test_a_signature_is_good_for_fifteen_minutes_both_ways(make: Maker) -> None:
    request = signed(make)
    for minutes in (-15, 0, 15):
        verify_ec2(request, SECRET, NOW + minutes * MINUTE)
    for off in (-15 * MINUTE - dt.timedelta(seconds=1), 15 * MINUTE + dt.timedelta(seconds=1)):
        with pytest.raises(SignatureRejected, match="expired"):
            verify_ec2(request, SECRET, NOW + off)
    verify_ec2(request, SECRET, NOW + 20 * MINUTE, ttl_minutes=20)


@every_kind
def test_a_request_without_time_is_refused(make: Maker) -> None:
    request = signed(make)
    timeless = msgspec.structs.replace(
        request,
        params={k: v for k, v in request.params.items() if k not in ("Timestamp", "X-Amz-Date")},
        headers={k: v for k, v in request.headers.items() if k != "X-Amz-Date"},
    )
    with pytest.raises(SignatureRejected, match="timestamp is missing"):
        verify_ec2(timeless, SECRET, NOW)


@pytest.mark.parametrize("make", [ec2_v0, ec2_v1, ec2_v2])
def test_a_time_that_was_not_signed_does_not_count(make: Maker) -> None:
    request = signed(make)
    later = NOW + 60 * MINUTE
    replayed = msgspec.structs.replace(
        request, headers={"X-Amz-Date": f"{later:%Y%m%dT%H%M%SZ}", "Date": str(later)}
    )
    with pytest.raises(SignatureRejected, match="expired"):
        verify_ec2(replayed, SECRET, later)


@pytest.mark.parametrize("make", [ec2_v4_by_header, ec2_v4_by_query])
def test_a_moved_time_breaks_a_version_4_signature(make: Maker) -> None:
    request, later = signed(make), NOW + 60 * MINUTE
    for where in ("params", "headers"):
        moved = {**getattr(request, where), "X-Amz-Date": f"{later:%Y%m%dT%H%M%SZ}"}
        with pytest.raises(SignatureRejected):
            verify_ec2(msgspec.structs.replace(request, **{where: moved}), SECRET, later)


@pytest.mark.parametrize("make", [ec2_v2, ec2_v4_by_header, ec2_v4_by_query])
@pytest.mark.parametrize(
    "change",
    [
        {"verb": "DELETE"},
        {"path": "/other"},
        {"host": "other.example.org", "headers": None},
        {"params": {"Action": "TerminateInstances"}},
    ],
    ids=["verb", "path", "host", "params"],
)
def test_a_changed_request_is_refused(make: Maker, change: dict[str, object]) -> None:
    request = signed(make)
    changes = dict(change)
    if "headers" in changes:
        changes["headers"] = {**request.headers, "Host": "other.example.org"}
    if "params" in changes:
        changes["params"] = {**request.params, "Action": "TerminateInstances"}
    with pytest.raises(SignatureRejected):
        verify_ec2(msgspec.structs.replace(request, **changes), SECRET, NOW)


@pytest.mark.parametrize("make", SIGNED_WITHOUT_PORT)
def test_old_clients_sign_the_host_without_its_port(make: Maker) -> None:
    request = msgspec.structs.replace(make(NOW), signature=SIGNED_WITHOUT_PORT[make])
    verify_ec2(request, SECRET, NOW)


def test_hmac_sha1_in_version_2() -> None:
    request = ec2_v2(NOW)
    params = {"AWSAccessKeyId": "access", "SignatureVersion": "2", "SignatureMethod": "HmacSHA1",
              "Timestamp": "2026-03-04T05:06:07Z"}  # fmt: skip
    text = (
        "GET\ncloud.example.org:8773\n/services/Cloud\n"
        "AWSAccessKeyId=access&SignatureMethod=HmacSHA1&SignatureVersion=2"
        "&Timestamp=2026-03-04T05%3A06%3A07Z"
    )
    signature = base64.b64encode(hmac.digest(SECRET.encode(), text.encode(), "sha1")).decode()
    request = msgspec.structs.replace(request, params=params, signature=signature)
    verify_ec2(request, SECRET, NOW)
    for method in ("HmacMD5", "HMACSHA1", ""):
        weaker = msgspec.structs.replace(request, params={**params, "SignatureMethod": method})
        with pytest.raises(SignatureRejected):
            verify_ec2(weaker, SECRET, NOW)


def test_headers_are_folded_before_they_are_signed() -> None:
    verify_ec2(
        msgspec.structs.replace(
            VANILLA,
            headers={name.upper(): f"  {value} " for name, value in VANILLA.headers.items()},
        ),
        SUITE_SECRET,
        SUITE_TIME,
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("AKIDEXAMPLE", "AKIDOTHER", "another access key"),
        ("/20150830/", "/20150829/", "another date"),
        ("/aws4_request", "/aws5_request", "scope is malformed"),
        ("/service/", "/", "scope is malformed"),
        ("host;x-amz-date", "x-amz-date", "leaves out the host"),
        ("host;x-amz-date", "host;x-absent", "x-absent is missing"),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA1 ", "Unexpected signature format"),
        ("SignedHeaders=", "Signed=", "Unexpected signature format"),
    ],
)
def test_an_authorization_header_is_read_strictly(old: str, new: str, reason: str) -> None:
    authorization = VANILLA.headers["Authorization"].replace(old, new)
    request = msgspec.structs.replace(
        VANILLA, headers={**VANILLA.headers, "Authorization": authorization}
    )
    with pytest.raises(SignatureRejected, match=reason):
        verify_ec2(request, SUITE_SECRET, SUITE_TIME)


def test_the_body_hash_is_needed_and_signed() -> None:
    for body_hash in ("", hashlib.sha256(b"other").hexdigest()):
        with pytest.raises(SignatureRejected):
            verify_ec2(
                msgspec.structs.replace(VANILLA, body_hash=body_hash), SUITE_SECRET, SUITE_TIME
            )


@pytest.mark.parametrize("version", ["3", "", "4", "é"])
def test_an_unknown_version_is_refused(version: str) -> None:
    with pytest.raises(SignatureRejected, match="Unknown signature version"):
        verify_ec2(msgspec.structs.replace(ec2_query(NOW, version), signature="x"), SECRET, NOW)


odd = st.text() | st.sampled_from(
    ["2", "1", "0", "AWS4-HMAC-SHA256", "20150830T123600Z", "9999-12-31T23:59:59-23:59", "host",
     "AKIDEXAMPLE/20150830/r/s/aws4_request", "0001-01-01T00:00:00+23:59"]
)  # fmt: skip
names = st.text(max_size=5) | st.sampled_from(
    ["SignatureVersion", "SignatureMethod", "Timestamp", "Action", "X-Amz-Date", "Authorization",
     "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-SignedHeaders", "Host"]
)  # fmt: skip


@given(
    texts=st.tuples(*[odd] * 6),
    params=st.dictionaries(names, odd),
    headers=st.dictionaries(names, odd),
)
def test_an_odd_request_is_refused_and_not_an_error(
    texts: tuple[str, ...], params: dict[str, str], headers: dict[str, str]
) -> None:
    access, signature, host, verb, path, body_hash = texts
    request = Ec2Request(
        access=access,
        signature=signature,
        host=host,
        verb=verb,
        path=path,
        params=params,
        headers=headers,
        body_hash=body_hash,
    )
    with pytest.raises(SignatureRejected):
        verify_ec2(request, SECRET, SUITE_TIME)


def s3(text: str, signature: str) -> S3Request:
    return S3Request(
        access="access",
        signature=signature,
        token=base64.urlsafe_b64encode(text.encode()).decode(),
    )


S3_V2 = s3(
    "GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/awsexamplebucket1/photos/puppy.jpg",
    "qgk2+6Sv9/oM7G3qLEjTH1a1l1g=",
)
S3_V2_TIME = dt.datetime(2007, 3, 27, 19, 36, 42)
S3_V4_TEXT = (
    "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"
    "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972"
)
S3_V4 = s3(S3_V4_TEXT, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
S3_V4_TIME = dt.datetime(2013, 5, 24)
both_s3 = pytest.mark.parametrize(("request_", "at"), [(S3_V2, S3_V2_TIME), (S3_V4, S3_V4_TIME)])


def sign_v2(text: str) -> S3Request:
    return s3(text, base64.b64encode(hmac.digest(SECRET.encode(), text.encode(), "sha1")).decode())


@both_s3
def test_the_s3_examples_of_aws(request_: S3Request, at: dt.datetime) -> None:
    verify_s3(request_, SECRET, at)
    standard = base64.b64encode(base64.urlsafe_b64decode(request_.token)).decode()
    verify_s3(msgspec.structs.replace(request_, token=standard), SECRET, at)
    with pytest.raises(SignatureRejected, match="mismatch"):
        verify_s3(request_, SUITE_SECRET, at)
    with pytest.raises(SignatureRejected, match="not supplied"):
        verify_s3(msgspec.structs.replace(request_, signature=""), SECRET, at)


@both_s3
def test_an_s3_signature_is_good_for_fifteen_minutes_both_ways(
    request_: S3Request, at: dt.datetime
) -> None:
    for off in (-15, 15):
        verify_s3(request_, SECRET, at + off * MINUTE)
    for off in (-16, 16):
        with pytest.raises(SignatureRejected, match="expired"):
            verify_s3(request_, SECRET, at + off * MINUTE)
    verify_s3(request_, SECRET, at + 60 * MINUTE, ttl_minutes=60)


def test_a_presigned_version_2_address_is_good_until_it_says() -> None:
    expires = int((NOW - dt.datetime(1970, 1, 1)).total_seconds())
    request = sign_v2(f"GET\n\n\n{expires}\n/bucket/key")
    verify_s3(request, SECRET, NOW - 600 * MINUTE)
    with pytest.raises(SignatureRejected, match="expired"):
        verify_s3(request, SECRET, NOW + MINUTE)


def test_the_amazon_date_rules_over_the_date() -> None:
    request = sign_v2(
        "GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\nx-amz-date:Wed, 04 Mar 2026 05:06:07 GMT\n/b/k"
    )
    verify_s3(request, SECRET, NOW)
    with pytest.raises(SignatureRejected, match="expired"):
        verify_s3(request, SECRET, S3_V2_TIME)


@pytest.mark.parametrize(
    "text",
    ["", "GET", "GET\n\n\n\n/b", "GET\n\n\nyesterday\n/b", "GET\n\n\n" + "9" * 50 + "\n/b",
     "GET\n\n\n" + "9" * 5000 + "\n/b", "GET\n\n\n²\n/b", "GET\n\n\n-5\n/b", "AWS4",
     S3_V4_TEXT + "\n", S3_V4_TEXT.replace("SHA256", "SHA1"), S3_V4_TEXT.replace("/s3/", "/ec2/"),
     S3_V4_TEXT.replace("20130524T000000Z", ""), S3_V4_TEXT.replace("20130524/", "20130525/"),
     S3_V4_TEXT.replace("aws4_request", "aws4"), "AWS4\n\n\n\n"],
)  # fmt: skip
def test_a_malformed_s3_string_is_refused(text: str) -> None:
    for request in (sign_v2(text), s3(text, S3_V4.signature)):
        with pytest.raises(SignatureRejected):
            verify_s3(request, SECRET, S3_V4_TIME)


@pytest.mark.parametrize(("service", "good"), [("s3", True), ("sts", True), ("ec2", False)])
def test_a_signature_for_another_service_is_refused(service: str, good: bool) -> None:
    text = S3_V4_TEXT.replace("/s3/", f"/{service}/")
    key = ("AWS4" + SECRET).encode()
    for part in ("20130524", "us-east-1", service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    request = s3(text, hmac.digest(key, text.encode(), "sha256").hex())
    if good:
        verify_s3(request, SECRET, S3_V4_TIME)
    else:
        with pytest.raises(SignatureRejected, match="another service"):
            verify_s3(request, SECRET, S3_V4_TIME)


@given(token=st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()))
def test_an_odd_s3_token_is_refused_and_not_an_error(token: str) -> None:
    with pytest.raises(SignatureRejected):
        verify_s3(S3Request(access="a", signature="s", token=token), SECRET, NOW)
