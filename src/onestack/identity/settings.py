"""The identity service's settings: [identity] in the settings file."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TOKEN_EXPIRATION_MAX_S = 366 * 24 * 3600


class IdentitySettings(msgspec.Struct, frozen=True):
    """Everything of identity that an operator may choose."""

    region: str = "RegionOne"
    public_url: str = ""
    token_expiration_s: Annotated[int, Meta(ge=1, le=TOKEN_EXPIRATION_MAX_S)] = 3600
    token_provider: Literal["fernet", "jws"] = "fernet"  # noqa: S105 - a kind of token, no secret
    fernet_keys_max: Annotated[int, Meta(ge=3, le=1000)] = 3
    fernet_rotation_s: Annotated[int, Meta(ge=0)] = 7 * 24 * 3600  # 0: never by itself
    password_hash_rounds: int = 12
    password_regex: str = ""
    password_regex_description: str = ""
    password_expires_days: int = 0
    password_history: int = 0
    password_minimum_age_days: int = 0
    password_change_at_first_use: bool = False
    lockout_failures: int = 0
    lockout_s: int = 1800
    inactive_days: int = 0
    directory_cache_s: int = 60
    ec2_clock_skew_minutes: int = 15
    limit_model: Literal["flat", "strict_two_level"] = "flat"
    trusted_dashboards: list[str] = []
    remote_id_header: str = "HTTP_OIDC_ISS"
    federation_secret: Annotated[str, Meta(pattern=r"^([!-~]{16,})?$(?!\n)")] = ""
    federation_header_prefix: Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*-$(?!\n)")] = (
        "x-federation-"
    )
