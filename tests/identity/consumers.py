"""Consumers, which sign what they ask for, and the users who let them act."""

from itertools import count
from typing import Any
from urllib.parse import parse_qsl, quote

from onestack.core import clock
from onestack.identity.auth.oauth1_signature import EPOCH, OAuthRequest, sign
from tests.cloud import ROOT, Answer, As, Local
from tests.identity.programs import Person

NONCES = count(1)
IDENTITY = "/identity/v3"


class Consumer:
    """A consumer, and the token that it has at the moment."""

    def __init__(self, local: Local, description: str = "") -> None:
        self.local = local
        body = {"consumer": {"description": description}}
        made = local.admin.post("/OS-OAUTH1/consumers", body)["consumer"]
        self.id: str = made["id"]
        self.secret: str = made["secret"]
        self.token: dict[str, str] = {}

    def header(self, path: str, method: str = "POST", **changes: Any) -> str:
        """The Authorization header of a request that the consumer signs now."""
        oauth = {
            "oauth_consumer_key": self.id,
            "oauth_signature_method": "HMAC-SHA1",
            "oauth_timestamp": str(int((clock.now() - EPOCH).total_seconds())),
            "oauth_nonce": f"{self.id}-{next(NONCES)}",
            "oauth_version": "1.0",
        }
        if self.token:
            oauth["oauth_token"] = self.token["oauth_token"]
        secrets = (self.secret, self.token.get("oauth_token_secret", ""))
        oauth = {name: value for name, value in {**oauth, **changes}.items() if value is not None}
        request = OAuthRequest(method, f"{ROOT}{IDENTITY}{path}", oauth)
        oauth.setdefault("oauth_signature", sign(request, *secrets))
        return "OAuth " + ", ".join(f'{k}="{quote(v, safe="~")}"' for k, v in oauth.items())

    def ask(self, path: str, header: str, body: Any = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {"Authorization": header, **named}
        return self.local.ask("POST", f"{IDENTITY}{path}", body, headers=given)

    def request(self, project: str, **changes: Any) -> Answer:
        """What the request for a request token answers."""
        path = "/OS-OAUTH1/request_token"
        return self.ask(path, self.header(path, **changes), Requested_Project_Id=project)

    def exchange(self, verifier: str | None, **changes: Any) -> Answer:
        """What the request for an access token answers."""
        path = "/OS-OAUTH1/access_token"
        return self.ask(path, self.header(path, oauth_verifier=verifier, **changes))

    def authenticate(self, header: str | None = None, scope: Any = None) -> Answer:
        """What the request for a token of the cloud answers."""
        auth: dict[str, Any] = {"identity": {"methods": ["oauth1"], "oauth1": {}}}
        if scope is not None:
            auth["scope"] = scope
        path = "/auth/tokens"
        return self.ask(path, header or self.header(path), {"auth": auth})

    def obtain(self, user: Person, *roles: str) -> None:
        """Get an access token of the user's, from first to last."""
        self.token = {}
        self.take(self.request(user.project))
        self.take(self.exchange(authorize(user.me, self.token["oauth_token"], *roles)))

    def take(self, answer: Answer) -> None:
        assert answer.status == 201, answer
        self.token = dict(parse_qsl(answer.content.decode()))

    @property
    def acting(self) -> As:
        """The consumer, signed in for its user."""
        answer = self.authenticate()
        assert answer.status == 201, answer
        return As(self.local, answer.headers["x-subject-token"])


def authorize(user: As, request_token: str, *roles: str) -> str:
    """The verifier that a user tells the consumer."""
    body = {"roles": [{"name": name} for name in roles]}
    path = f"/OS-OAUTH1/authorize/{request_token}"
    verifier: str = user.put(path, body, status=200)["token"]["oauth_verifier"]
    return verifier
