"""Inheritance: roles on what is below, against a model that is slow and plain."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onestack.core import clock
from onestack.core.db import Database
from onestack.identity.assignments import effective
from onestack.identity.assignments.record import AssignmentRecord
from onestack.identity.groups import GroupRecord
from onestack.identity.memberships import MembershipRecord
from onestack.identity.projects.record import ProjectRecord, find
from onestack.identity.roles.record import ImpliedRoleRecord, RoleRecord
from onestack.identity.users.record import UserRecord
from tests.cloud import Local
from tests.conftest import CHEAP
from tests.identity.stage import Stage

# (user, kind of target, target, role), as a token would carry it
Right = tuple[str, str, str, str]


def _roles(local: Local, project: str, user: str) -> set[str]:
    query = f"scope.project.id={project}&user.id={user}&effective"
    found = local.admin.get(f"/role_assignments?{query}")["role_assignments"]
    return {each["role"]["id"] for each in found}


@pytest.mark.parametrize("actor", ["users", "groups"])
def test_from_a_domain_to_all_its_projects(local: Local, actor: str) -> None:
    stage = Stage(local, f"inherited-domain-{actor}")
    role, user, project = stage.role(), stage.user(), stage.project()
    leaf = stage.project(project)
    who = user if actor == "users" else stage.group(user)
    path = stage.give(role, f"{actor}/{who}", f"domains/{stage.domain}", inherited=True)
    later = stage.project(leaf)
    for each in (project, leaf, later):
        assert _roles(local, each, user) == {role}
        held = stage.login(user, project={"id": each}).body["token"]["roles"]
        assert [given["id"] for given in held] == [role]
    assert stage.login(user, domain={"id": stage.domain}).status == 401
    (entry,) = local.admin.get(
        f"/role_assignments?scope.project.id={leaf}&user.id={user}&effective"
    )["role_assignments"]
    assert entry["scope"] == {"project": {"id": leaf}, "OS-INHERIT:inherited_to": "projects"}
    assert entry["links"]["assignment"].endswith(path)
    local.admin.delete(path)
    for each in (project, leaf, later):
        assert _roles(local, each, user) == set()
        assert stage.login(user, project={"id": each}).status == 401


def test_from_a_project_to_what_is_below_but_not_to_itself(local: Local) -> None:
    stage = Stage(local, "inherited-project")
    role, user, top = stage.role(), stage.user(), stage.project()
    middle = stage.project(top)
    leaf, beside = stage.project(middle), stage.project(top)
    path = stage.give(role, f"users/{user}", f"projects/{middle}", inherited=True)
    assert [_roles(local, each, user) for each in (top, middle, beside)] == [set()] * 3
    assert _roles(local, leaf, user) == {role}
    token = stage.token(user, project={"id": leaf})
    local.admin.delete(path)
    assert _roles(local, leaf, user) == set()
    stage.give(role, f"users/{user}", f"projects/{leaf}")
    local.admin.get("/auth/tokens", status=404, X_Subject_Token=token)


def test_a_subtree_lists_what_counts_in_it(local: Local) -> None:
    stage = Stage(local, "inherited-subtree")
    role, user, top = stage.role(), stage.user(), stage.project()
    middle = stage.project(top)
    leaf = stage.project(middle)
    stage.give(role, f"users/{user}", f"projects/{top}", inherited=True)
    stage.give(role, f"users/{user}", f"projects/{leaf}")

    def projects(query: str) -> list[str]:
        found = local.admin.get(f"/role_assignments?user.id={user}&{query}")["role_assignments"]
        return sorted(each["scope"]["project"]["id"] for each in found)

    assert projects(f"scope.project.id={middle}&include_subtree") == [leaf]
    assert projects(f"scope.project.id={top}&include_subtree") == sorted([top, leaf])
    for root in (top, middle):
        query = f"scope.project.id={root}&include_subtree&effective"
        assert projects(query) == sorted([middle, leaf, leaf])


@dataclass
class World:
    """Some projects, users, groups and roles, and who was given what."""

    name: str
    parents: list[int]  # of each project: an earlier one, or -1 for the domain
    members: set[tuple[int, int]]  # (group, user)
    implied: set[tuple[int, int]]
    is_global: list[bool]
    given: set[tuple[str, int, str, int, int, bool]]  # actor, its number, target, its number, ...
    users: int
    groups: int
    ids: dict[tuple[str, int], str] = field(default_factory=dict)

    def id(self, kind: str, number: int = -1) -> str:
        if kind == "system":
            return "system"
        return self.ids.setdefault((kind, number), clock.new_id())

    def rights(self) -> set[Right]:
        """Who has which role where: every rule of assignments, tried on every candidate."""
        found = set()
        for user, (kind, target), role in product(
            range(self.users), self._targets(), range(len(self.is_global))
        ):
            if self.is_global[role] and any(
                self._is_of(user, actor, number)
                and self._reaches(kind, target, where, place, inherited)
                and self._leads(first, role)
                for actor, number, where, place, first, inherited in self.given
            ):
                found.add(
                    (self.id("user", user), kind, self.id(kind, target), self.id("role", role))
                )
        return found

    def _targets(self) -> list[tuple[str, int]]:
        projects = [("project", number) for number in range(len(self.parents))]
        return [*projects, ("domain", -1), ("system", -1)]

    def _is_of(self, user: int, actor: str, number: int) -> bool:
        return number == user if actor == "user" else (number, user) in self.members

    def _reaches(self, kind: str, target: int, where: str, place: int, inherited: bool) -> bool:
        if not inherited:
            return (kind, target) == (where, place)
        return kind == "project" and self._is_below(target, -1 if where == "domain" else place)

    def _is_below(self, project: int, top: int) -> bool:
        parent = self.parents[project]
        return parent == top or (parent != -1 and self._is_below(parent, top))

    def _leads(self, first: int, role: int, seen: frozenset[int] = frozenset()) -> bool:
        return first == role or any(
            self._leads(following, role, seen | {first})
            for one, following in self.implied
            if one == first and following not in seen
        )

    def store(self, database: Database) -> None:
        """Write all of it; by hand, as hundreds of requests would take long."""
        domain = self.id("domain")
        with database.transaction() as session:
            session.add(ProjectRecord(id=domain, name=domain, is_domain=True))
            session.flush()
            for number, parent in enumerate(self.parents):
                project = self.id("project", number)
                above = domain if parent == -1 else self.id("project", parent)
                session.add(
                    ProjectRecord(id=project, name=project, domain_id=domain, parent_id=above)
                )
                session.flush()
            for number in range(self.users):
                user = self.id("user", number)
                session.add(
                    UserRecord(id=user, name=user, domain_id=domain, created_at=clock.now())
                )
            for number in range(self.groups):
                group = self.id("group", number)
                session.add(GroupRecord(id=group, name=group, domain_id=domain))
            for number, is_global in enumerate(self.is_global):
                role = self.id("role", number)
                session.add(RoleRecord(id=role, name=role, domain_id="" if is_global else domain))
            session.flush()
            for group, user in self.members:
                session.add(
                    MembershipRecord(
                        group_id=self.id("group", group), user_id=self.id("user", user)
                    )
                )
            for prior, implied in self.implied:
                session.add(
                    ImpliedRoleRecord(
                        prior_role_id=self.id("role", prior),
                        implied_role_id=self.id("role", implied),
                    )
                )
            for actor, number, where, place, role, inherited in self.given:
                session.add(
                    AssignmentRecord(
                        actor_kind=actor, actor_id=self.id(actor, number), target_kind=where,
                        target_id=self.id(where, place), role_id=self.id("role", role),
                        inherited=inherited,
                    )
                )  # fmt: skip


def _world(random: Random, size: int) -> World:
    projects, users, groups, roles = (random.randint(1, most) for most in (9, 6, 4, 7))
    is_global = [random.random() < 0.8 for _ in range(roles)]
    pairs = product(range(roles), repeat=2)
    implied = {
        (one, other)
        for one, other in pairs
        if random.random() < 0.2 and (is_global[other] or not is_global[one])
    }
    given = set()
    for _ in range(size):
        actor = random.choice(("user", "group"))
        where = random.choice(("project", "project", "project", "domain", "system"))
        given.add(
            (
                actor,
                random.randrange(users if actor == "user" else groups),
                where,
                random.randrange(projects) if where == "project" else -1,
                random.choice(
                    [n for n in range(roles) if where != "system" or is_global[n]] or [0]
                ),
                where != "system" and random.random() < 0.4,
            )
        )
    return World(
        name=str(random.random()),
        parents=[random.randint(-1, number - 1) for number in range(projects)],
        members={p for p in product(range(groups), range(users)) if random.random() < 0.4},
        implied=implied,
        is_global=is_global,
        given=given,
        users=users,
        groups=groups,
    )


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    made = Local(tmp_path_factory.mktemp("inheritance"), CHEAP)
    yield made
    made.close()


def _rights(local: Local, world: World, query: str) -> set[Right]:
    found: list[dict[str, Any]] = local.admin.get(f"/role_assignments?effective&{query}")[
        "role_assignments"
    ]
    ours = {world.id("user", number) for number in range(world.users)}
    rights = set()
    for each in found:
        (kind,) = each["scope"].keys() - {"OS-INHERIT:inherited_to"}
        target = "system" if kind == "system" else each["scope"][kind]["id"]
        if each["user"]["id"] in ours:
            rights.add((each["user"]["id"], kind, target, each["role"]["id"]))
    return rights


def _compare(local: Local, world: World) -> None:
    world.store(local.cloud.get(Database))
    rights = world.rights()
    projects = [world.id("project", number) for number in range(len(world.parents))]
    assert _rights(local, world, "") == rights
    for user in (world.id("user", number) for number in range(world.users)):
        assert _rights(local, world, f"user.id={user}") == {r for r in rights if r[0] == user}
    for role in (world.id("role", number) for number in range(len(world.is_global))):
        assert _rights(local, world, f"role.id={role}") == {r for r in rights if r[3] == role}
    for number, project in enumerate(projects):
        here = {r for r in rights if r[1:3] == ("project", project)}
        assert _rights(local, world, f"scope.project.id={project}") == here
        tree = {project} | {p for n, p in enumerate(projects) if world._is_below(n, number)}
        below = {r for r in rights if r[1] == "project" and r[2] in tree}
        assert _rights(local, world, f"scope.project.id={project}&include_subtree") == below
    on_domain = {r for r in rights if r[1] == "domain"}
    assert _rights(local, world, f"scope.domain.id={world.id('domain')}") == on_domain
    assert _rights(local, world, "scope.system=all") == {r for r in rights if r[1] == "system"}
    inherited = "scope.OS-INHERIT:inherited_to"
    both = _rights(local, world, f"{inherited}=projects") | _rights(local, world, f"{inherited}=")
    assert both == rights
    _compare_tokens(local, world, rights)


def _compare_tokens(local: Local, world: World, rights: set[Right]) -> None:
    """What tokens are loaded from must agree with the lists."""
    with local.cloud.get(Database).transaction(write=False) as session:
        for user in (world.id("user", number) for number in range(world.users)):
            loaded: dict[tuple[str, str], effective.Roles] = {
                ("domain", world.id("domain")): effective.on_domain(
                    session, user, world.id("domain")
                ),
                ("system", "system"): effective.on_system(session, user),
            }
            for number in range(len(world.parents)):
                project = find(session, world.id("project", number))
                loaded["project", project.id] = effective.on_project(session, user, project)
            held = {
                (user, kind, target, role)
                for (kind, target), roles in loaded.items()
                for role, _ in roles
            }
            assert held == {r for r in rights if r[0] == user}
            assert set(session.scalars(effective.project_ids(user))) == {
                r[2] for r in held if r[1] == "project"
            }
            assert set(session.scalars(effective.domain_ids(user))) == {
                r[2] for r in held if r[1] == "domain"
            }


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False), size=st.integers(0, 40))
def test_any_world_agrees_with_the_model(cloud: Local, random: Random, size: int) -> None:
    _compare(cloud, _world(random, size))


def test_three_hundred_assignments_agree_with_the_model(cloud: Local) -> None:
    random = Random(300)
    world = max((_world(random, 900) for _ in range(20)), key=lambda each: len(each.given))
    assert len(world.given) >= 300
    _compare(cloud, world)
