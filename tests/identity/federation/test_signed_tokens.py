"""Federated logins in a cloud whose tokens are signed JSON."""

from tests.conftest import Clouds
from tests.identity.federation.partners import SECRET, Partner, shown
from tests.identity.stage import Stage

GROUPS = 180  # so many ids do not fit into a header when they are written as JSON


def test_groups_travel_in_signed_tokens_as_far_as_they_fit(another: Clouds) -> None:
    cloud = another(
        ONESTACK_IDENTITY_TOKEN_PROVIDER="jws", ONESTACK_IDENTITY_FEDERATION_SECRET=SECRET
    )
    stage = Stage(cloud, "signed")
    ids = [stage.group() for _ in range(GROUPS)]
    remote = [{"type": "REMOTE_USER"}, {"type": "GROUPS"}]
    rules = [{"remote": remote, "local": [{"user": {"name": "{0}"}, "group_ids": "{1}"}]}]
    partner = Partner(cloud, "signed", rules)
    token = partner.token(Remote_User="jane", Groups=";".join(ids[:50]))
    named = shown(cloud, token)["user"]["OS-FEDERATION"]["groups"]
    assert [each["id"] for each in named] == sorted(ids[:50])
    answer = partner.sign_in(Remote_User="jane", Groups=";".join(ids))
    assert answer.status == 401
    assert "more groups than a token can name" in answer.message
