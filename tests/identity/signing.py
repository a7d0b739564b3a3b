"""Requests signed as clients of EC2 and S3 sign them."""

import base64
import datetime as dt
import hashlib
import hmac
from typing import Any

from onestack.core import clock
from tests.cloud import Answer, As

EMPTY = hashlib.sha256(b"").hexdigest()


def ec2_request(
    keys: dict[str, Any], *, at: dt.datetime | None = None, secret: str | None = None
) -> dict[str, Any]:
    """What a service is to hand over of a version 4 request for the list of instances."""
    stamp = (at or clock.now()).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/RegionOne/ec2/aws4_request"
    canonical = f"GET\n/\n\nhost:cloud.example\nx-amz-date:{stamp}\n\nhost;x-amz-date\n{EMPTY}"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = _signed(secret or keys["secret"], scope, text)
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={keys['access']}/{scope}, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    )
    return {
        "access": keys["access"],
        "signature": signature,
        "host": "cloud.example",
        "verb": "GET",
        "path": "/",
        "params": {},
        "headers": {
            "host": "cloud.example",
            "x-amz-date": stamp,
            "authorization": authorization,
        },
        "body_hash": EMPTY,
    }


def s3_request(keys: dict[str, Any], *, at: dt.datetime | None = None) -> dict[str, Any]:
    """What a service is to hand over of a version 4 request for an object."""
    stamp = (at or clock.now()).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/RegionOne/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{EMPTY}"
    return {
        "access": keys["access"],
        "signature": _signed(keys["secret"], scope, text),
        "token": base64.urlsafe_b64encode(text.encode()).decode(),
    }


def ec2_token(who: As, request: dict[str, Any], key: str = "credentials") -> Answer:
    """What the cloud answers about a request signed for EC2."""
    return who.ask("POST", "/ec2tokens", {key: request})


def s3_token(who: As, request: dict[str, Any]) -> Answer:
    """What the cloud answers about a request signed for S3."""
    return who.ask("POST", "/s3tokens", {"credentials": request})


def _signed(secret: str, scope: str, text: str) -> str:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
