"""OSSA-2024-005: tags were changed by whoever held any token."""

from tests.cloud import As, Local
from tests.identity.places import make, make_domain, member


def test_ossa_2024_005_every_tag_operation_is_judged(local: Local) -> None:
    admin = local.admin
    domain, other = make_domain(local, "tag-who"), make_domain(local, "tag-who-2")
    project = make(admin, "tag-who-own", domain_id=domain["id"], tags=["t"])
    away = make(admin, "tag-who-away", domain_id=other["id"])
    path = f"/projects/{project['id']}"
    writes = [
        ("PUT", f"{path}/tags", {"tags": ["x"]}),
        ("DELETE", f"{path}/tags", None),
        ("PUT", f"{path}/tags/x", {}),
        ("DELETE", f"{path}/tags/t", None),
    ]
    reads = [("GET", f"{path}/tags", None), ("GET", f"{path}/tags/t", None)]
    inside = member(local, domain["id"], "tag-who-in", "member", project=project["id"])
    outside = member(local, other["id"], "tag-who-out", "member", project=away["id"])
    manager = member(local, other["id"], "tag-who-boss", "manager", domain=other["id"])
    reader = member(local, domain["id"], "tag-who-reader", "reader", domain=domain["id"])
    for who, refused in (
        (inside, writes),
        (reader, writes),
        (outside, [*reads, *writes]),
        (manager, [*reads, *writes]),
    ):
        for method, route, body in refused:
            assert who.ask(method, route, body).status == 403, (method, route)
    for who in (inside, reader):
        assert [who.ask(*each).status for each in reads] == [200, 204]
    for method, route, body in (*reads, *writes):
        assert As(local, None).ask(method, route, body).status == 401
    assert admin.get(f"{path}/tags")["tags"] == ["t"]
