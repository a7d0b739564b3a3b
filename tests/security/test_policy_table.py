"""Every operation of every service, asked by every persona: what the rules say, and what happens.

`python -m tests.security.test_policy_table --write` writes the tables anew from the declarations.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest

from onestack import identity, main
from onestack.core import observe
from onestack.core.api import Operation, Page, Service
from onestack.core.context import Caller, credentials_of
from onestack.core.policy import Policy
from onestack.identity.bootstrap import CHAIN
from tests.cloud import Answer, As, Local
from tests.conftest import Clouds
from tests.security.world import World, fill

GOLDEN = Path(__file__).parent / "golden"
UNKNOWN = "0123456789abcdef0123456789abcdef"
SERVICES = main.services()
TRIED = (observe.SERVICE, identity.SERVICE)  # of which a world has one of each thing
NEEDS_A_PROJECT = ("/v3/auth/catalog",)  # refused in other scopes by the handler, as upstream does


@dataclass(frozen=True)
class Persona:
    """Somebody with a role in a scope."""

    name: str
    role: str | None = None
    scope: str | None = None  # "project", "domain", "system"
    is_anonymous: bool = False
    roles: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        held = CHAIN[CHAIN.index(self.role) :] if self.role in CHAIN else (self.role,)
        object.__setattr__(self, "roles", held if self.role else ())

    @property
    def caller(self) -> Caller:
        known: dict[str, dict[str, Any]] = {
            "project": {"project_id": "project", "project_domain_id": "domain"},
            "domain": {"domain_id": "domain"},
            "system": {"is_system": True},
        }
        scope = known.get(self.scope or "", {})
        roles = tuple((role, role) for role in self.roles)
        return Caller("user", "user", "domain", roles=roles, **scope)


PERSONAS = (
    Persona("anonymous", is_anonymous=True),
    Persona("unscoped"),
    *(Persona(f"project {role}", role, "project") for role in reversed(CHAIN)),
    *(Persona(f"domain {role}", role, "domain") for role in reversed(CHAIN)),
    Persona("system reader", "reader", "system"),
    Persona("system admin", "admin", "system"),
    Persona("service", "service", "project"),
)


def cell(policy: Policy, operation: Operation, persona: Persona) -> str:
    """What the declaration alone says: yes, no, own (the target decides), public."""
    if operation.is_public:
        return "public"
    if persona.is_anonymous:
        return "no"
    scope = "project" if persona.caller.scope == "none" else persona.caller.scope
    if scope not in operation.rule.scopes:
        return "no"
    verdict = policy.decide(operation.rule.name, credentials_of(persona.caller), None)
    return {True: "yes", False: "no", None: "own"}[verdict]


def table(service: Service) -> str:
    """The service's table of roles and operations, in Markdown."""
    policy = main.policy(Path("/nonexistent/policy.yaml"))
    names = " | ".join(persona.name for persona in PERSONAS)
    lines = [
        f"# {service.title}: who may do what",
        "",
        "yes: always; no: never; own: where the target is the caller's own (user, project or",
        "domain); public: answered without a token. Made from the declarations by",
        "`python -m tests.security.test_policy_table --write`.",
        "",
        f"| method | path | rule | {names} |",
        "|---" * (3 + len(PERSONAS)) + "|",
    ]
    for operation in sorted(service.operations, key=_place):
        cells = " | ".join(cell(policy, operation, persona) for persona in PERSONAS)
        path = service.root + operation.path + (f" {operation.action}" if operation.action else "")
        lines.append(f"| {operation.method} | {path} | {operation.rule.name} | {cells} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", SERVICES)
def test_the_table_is_what_the_declarations_say(name: str) -> None:
    kept = (GOLDEN / f"{name}.md").read_text()
    now = table(SERVICES[name])
    difference = "".join(unified_diff(kept.splitlines(True), now.splitlines(True), "kept", "now"))
    assert now == kept, f"rights changed:\n{difference}"


class Trial:
    """Personas of one domain, a world of their own there, and a foreign world elsewhere."""

    def __init__(self, local: Local) -> None:
        self.local = local
        declared = {(op.method, op.path) for op in identity.SERVICE.operations}
        self.own = World(local, "own", declared)
        self.foreign = World(local, "foreign", declared)
        self.policy = local.cloud.get(Policy)
        self.people = {persona: self._signed_in(persona) for persona in PERSONAS}

    def _signed_in(self, persona: Persona) -> As:
        world, admin = self.own, self.local.admin
        if persona.is_anonymous:
            return As(self.local, None)
        user = world.user(persona.name.replace(" ", "-"))
        if persona.scope is None:
            return world.signed_in(user)
        target = {
            "project": f"/projects/{world.project}",
            "domain": f"/domains/{world.domain}",
            "system": "/system",
        }[persona.scope]
        admin.put(f"{target}/users/{user}/roles/{world.roles[persona.role or '']}")
        scope = {
            "project": {"project": {"id": world.project}},
            "domain": {"domain": {"id": world.domain}},
            "system": {"system": {"all": True}},
        }[persona.scope]
        return world.signed_in(user, scope)

    def ask(
        self, operation: Operation, path: str, who: As, body: Any = None, subject: str = ""
    ) -> Answer:
        given = {} if operation.body_shape is not None and body is None else body
        headers = {"x-subject-token": subject or UNKNOWN}
        return self.local.ask(operation.method, path, given, who.token, headers)

    def cells(self) -> Iterator[tuple[Service, Operation, Persona, str]]:
        for service in TRIED:
            for operation in service.operations:
                for persona in PERSONAS:
                    found = cell(self.policy, operation, persona)
                    yield service, operation, persona, found


@pytest.fixture
def trial(another: Clouds) -> Trial:
    """Personas and two worlds in a cloud of their own."""
    return Trial(another(ONESTACK_CLOUD_LOG_LEVEL="error"))


def test_every_cell_of_the_table_by_real_requests(trial: Trial) -> None:
    wrong = []
    for service, operation, persona, expected in trial.cells():
        problem = PROOFS[expected](trial, service, operation, persona)
        if problem:
            method, path = operation.method, operation.path
            wrong.append(f"{persona.name}: {method} {path} is {expected!r} but {problem}")
    assert not wrong, f"{len(wrong)} cells:\n" + "\n".join(wrong[:100])


def test_owners_reach_what_is_theirs(trial: Trial) -> None:
    """Wherever a rule says `own` of a GET, somebody without rights over all gets an answer."""
    own, people = trial.own, {persona.name: who for persona, who in trial.people.items()}
    owners = (own.owner, people["domain reader"], people["domain manager"], people["domain admin"])
    unreachable = []
    for service in TRIED:
        for operation in service.operations:
            cells = {cell(trial.policy, operation, persona) for persona in PERSONAS}
            if operation.method != "GET" or "own" not in cells:
                continue
            subject = own.owner.token or ""
            path = own.path(operation, service)
            answers = [trial.ask(operation, path, who, subject=subject) for who in owners]
            good = [answer for answer in answers if answer.status in (200, 204)]
            shown = any(_shows(answer, own) for answer in good) or not _is_list(operation)
            if not good or not shown:
                unreachable.append(f"{path}: {[answer.status for answer in answers]}")
    assert not unreachable, "\n".join(unreachable)


def _place(operation: Operation) -> tuple[str, str, str]:
    return operation.path, operation.method, operation.action or ""


def _public(trial: Trial, service: Service, operation: Operation, persona: Persona) -> str | None:
    """A token makes no difference to an operation that asks for none."""
    path = service.root + fill(operation.path, lambda _: UNKNOWN)
    status = trial.ask(operation, path, trial.people[persona]).status
    anonymous = trial.ask(operation, path, As(trial.local, None)).status
    return None if status == anonymous and status < 500 else f"answered {status}"


def _no(trial: Trial, service: Service, operation: Operation, persona: Persona) -> str | None:
    """What a rule refuses is refused, whatever it is asked of."""
    expected = 401 if persona.is_anonymous else 403
    for world in (trial.foreign, trial.own):
        answer = trial.ask(
            operation, world.path(operation, service), trial.people[persona],
            _good(operation, world), subject=world.owner.token or "",
        )  # fmt: skip
        if answer.status != expected:
            return f"answered {answer!r} in world {world.name}"
    return None


def _yes(trial: Trial, service: Service, operation: Operation, persona: Persona) -> str | None:
    """What a rule allows is not refused; nothing is there, so that nothing is changed."""
    path = service.root + fill(operation.path, lambda name: _nothing(operation, name))
    answer = trial.ask(operation, path, trial.people[persona])
    if operation.path in NEEDS_A_PROJECT and persona.scope != "project":
        return None if answer.status == 403 else f"answered {answer!r}"
    return f"answered {answer!r}" if answer.status in (401, 403, 500) else None


def _nothing(operation: Operation, name: str) -> str:
    """The id of nothing; but names of options, and the one domain whose options all may read."""
    if "security_compliance" in operation.path:
        return {"domain_id": "default", "option": "password_regex"}[name]
    return {"group": "ldap", "option": "url"}.get(name, UNKNOWN)


def _own(trial: Trial, service: Service, operation: Operation, persona: Persona) -> str | None:
    """What is not one's own is refused, and is not in lists."""
    foreign = trial.foreign
    path = foreign.path(operation, service)
    answer = trial.ask(
        operation, path, trial.people[persona], _good(operation, foreign),
        subject=foreign.owner.token or "",
    )  # fmt: skip
    if answer.status in (403, 404):
        return None
    if not _is_list(operation) or answer.status != 200:
        return f"answered {answer!r}"
    return "lists what is foreign" if _shows(answer, foreign) else None


PROOFS = {"public": _public, "no": _no, "yes": _yes, "own": _own}


def _is_list(operation: Operation) -> bool:
    """Whether it lists over all owners: what has parameters is about one thing."""
    is_page = getattr(operation.answer_shape, "__origin__", None) is Page
    return is_page and operation.method == "GET" and not operation.parameter_names


def _shows(answer: Answer, world: World) -> bool:
    return any(each in answer.content.decode() for each in world.ids.values() if len(each) == 32)


def _good(operation: Operation, world: World) -> Any:
    """A body that the operation takes, about what is in the world."""
    if operation.body_shape is None:
        return None
    make = _BODIES.get((operation.method, operation.path))
    body = make(world) if make is not None else {}
    return body if operation.key is None else {operation.key: body}


_BODIES: dict[tuple[str, str], Callable[[World], Any]] = {
    ("POST", "/v3/users"): lambda world: {"name": "new-user", "domain_id": world.domain},
    ("POST", "/v3/groups"): lambda world: {"name": "new-group", "domain_id": world.domain},
    ("POST", "/v3/projects"): lambda world: {"name": "new-project", "domain_id": world.domain},
    ("POST", "/v3/credentials"): lambda world: {
        "type": "cert", "blob": "x", "user_id": world.owner_id, "project_id": world.project,
    },
    ("POST", "/v3/users/{user_id}/credentials/OS-EC2"): lambda world: {"tenant_id": world.project},
    ("POST", "/v3/OS-TRUST/trusts"): lambda world: {
        "trustor_user_id": world.owner_id, "trustee_user_id": world.friend_id,
        "impersonation": False, "project_id": world.project, "roles": [{"name": "member"}],
    },
    ("PUT", "/v3/projects/{project_id}/tags"): lambda _: {"tags": ["red"]},
    ("POST", "/v3/users/{user_id}/application_credentials"): lambda _: {"name": "new-lent"},
}  # fmt: skip


def _write() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name, service in SERVICES.items():
        (GOLDEN / f"{name}.md").write_text(table(service))


if __name__ == "__main__" and "--write" in sys.argv:
    _write()
