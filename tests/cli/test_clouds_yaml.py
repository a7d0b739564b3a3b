"""clouds.yaml belongs to the user: our clouds go in and out, and all else stays to the letter."""

import os
import stat
from pathlib import Path

import pytest
import yaml

from onestack.cli import clouds_yaml
from onestack.cli.accounts import ADMIN, Entry
from onestack.cli.folder import Folder
from tests.cli.command import entries

ACCOUNTS: dict[str, Entry] = {
    "demo": {"auth": {"auth_url": "http://h:5000", "password": "p: #'\"é"}, "region_name": "R"},
    ADMIN: {"auth": {"auth_url": "http://h:5000", "password": "{x}"}, "region_name": "R"},
}

USERS_OWN = [
    "clouds:\n  prod:\n    auth: {auth_url: 'http://p'}   # mine\n\n# the end\n",
    "# 1\n---\nclouds:\n    prod: &p\n        region_name: A\n    copy: *p\ncache:\n  auth: true\n",
    "clouds:\n  prod:\n    region_name: A",
    "clouds:\n  prod:\n    note: |\n      several\n      lines\n\n  # about nothing\nother: 1\n",
    "clouds:\r\n  prod:\r\n    region_name: A\r\n",
    "clouds:\n  prod:\n    auth:\n      auth_url: x\n    regions:\n    - a\n    - b\n# c\nz: 1\n",
    "clouds:\n",
    "client:\n  force_ipv4: true\n",
    "# nothing but a comment\n",
    "",
    'clouds:\n  "prod": {region_name: A}\n  üñí:\n    region_name: "A\\n b"\n',
    "client: 1\nclouds:\n  a:\n    b:\n      c: 'several\n        lines'\n",
]

NOT_OURS_TO_EDIT = [
    "clouds: ~\nclient:\n  force_ipv4: true\n",
    '{"clouds": {"prod": {"region_name": "A"}}}',
    "clouds: {prod: {region_name: A}}\n",
    "clouds:\n\tprod: 1\n",
    "clouds: [1, 2]\n",
    "- clouds\n",
    "clouds:\n  a: 1\n---\nclouds:\n  b: 1\n",
    "clouds:\n  a: 1\n...\n# after the end\n---\n",
]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "one"
    path.mkdir()
    return Folder(path)


@pytest.mark.parametrize("before", USERS_OWN)
def test_everything_of_the_users_stays(tmp_path: Path, folder: Folder, before: str) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_bytes(before.encode())
    written = clouds_yaml.add(path, folder, ACCOUNTS)
    assert written.names == ("onestack", "onestack-admin")
    after = path.read_bytes().decode()
    for line in before.splitlines(keepends=True):
        assert line.rstrip("\r\n") in after
    old, new = yaml.safe_load(before) or {}, yaml.safe_load(after)
    assert {**(old.get("clouds") or {}), **_ours()} == new.pop("clouds")
    old.pop("clouds", None)
    assert old == new
    assert list(entries(path))[-2:] == ["onestack", "onestack-admin"]
    assert ("\r\n" in before) == ("\r\n" in after)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("before", USERS_OWN)
def test_a_second_time_changes_nothing(tmp_path: Path, folder: Folder, before: str) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_bytes(before.encode())
    clouds_yaml.add(path, folder, ACCOUNTS)
    once, facts = path.read_bytes(), path.stat()
    written = clouds_yaml.add(path, folder, ACCOUNTS)
    assert not written.changed
    assert written.names == ("onestack", "onestack-admin")
    assert (path.read_bytes(), path.stat().st_ino) == (once, facts.st_ino)


@pytest.mark.parametrize("before", NOT_OURS_TO_EDIT)
def test_what_cannot_be_edited_is_left_alone(tmp_path: Path, folder: Folder, before: str) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text(before)
    with pytest.raises(clouds_yaml.CannotEdit):
        clouds_yaml.add(path, folder, ACCOUNTS)
    assert path.read_text() == before
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["clouds.yaml"]


def test_a_new_address_replaces_the_old_where_it_stood(tmp_path: Path, folder: Folder) -> None:
    path = tmp_path / "clouds.yaml"
    clouds_yaml.add(path, folder, ACCOUNTS)
    mine = path.read_text() + "  later: {region_name: B}  # mine\n"
    path.write_text(mine)
    moved = {**ACCOUNTS, "demo": {"auth": {"auth_url": "http://elsewhere"}}}
    assert clouds_yaml.add(path, folder, moved).changed
    assert list(entries(path)) == ["onestack", "onestack-admin", "later"]
    assert entries(path)["onestack"]["auth"] == {"auth_url": "http://elsewhere"}
    assert path.read_text().endswith("  later: {region_name: B}  # mine\n")
    assert path.with_name("clouds.yaml.before-onestack").read_text() == mine


def test_clouds_stand_side_by_side(tmp_path: Path, folder: Folder) -> None:
    path = tmp_path / "clouds.yaml"
    second, third = Folder(tmp_path / "my lab!"), Folder(tmp_path / "deep" / "my lab!")
    for other in (second, third):
        other.path.mkdir(parents=True)
    clouds_yaml.add(path, folder, ACCOUNTS)
    assert clouds_yaml.add(path, second, ACCOUNTS).names == (
        "onestack-my-lab", "onestack-my-lab-admin",
    )  # fmt: skip
    assert clouds_yaml.add(path, third, ACCOUNTS).names[0] == "onestack-my-lab-2"
    assert clouds_yaml.add(path, folder, ACCOUNTS).names[0] == "onestack"
    assert len(entries(path)) == 6


def test_a_cloud_that_is_gone_gives_its_name_back(tmp_path: Path, folder: Folder) -> None:
    path = tmp_path / "clouds.yaml"
    clouds_yaml.add(path, folder, ACCOUNTS)
    folder.path.rmdir()
    second = Folder(tmp_path / "second")
    second.path.mkdir()
    assert clouds_yaml.add(path, second, ACCOUNTS).names == ("onestack", "onestack-admin")
    assert list(entries(path)) == ["onestack", "onestack-admin"]


@pytest.mark.parametrize("taken", ["onestack", "onestack-admin"])
def test_a_name_that_the_user_gave_is_not_taken(tmp_path: Path, folder: Folder, taken: str) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text(f"clouds:\n  {taken}:\n    region_name: A\n")
    assert clouds_yaml.add(path, folder, ACCOUNTS).names == ("onestack-one", "onestack-one-admin")
    assert entries(path)[taken] == {"region_name": "A"}


def test_a_link_stays_a_link_and_a_stolen_mark_does_no_harm(tmp_path: Path, folder: Folder) -> None:
    real = tmp_path / "dotfiles" / "clouds.yaml"
    real.parent.mkdir()
    real.write_text(f"clouds:\n  # onestack begin {folder.path}\n  mine: {{region_name: A}}\n")
    path = tmp_path / "clouds.yaml"
    path.symlink_to(real)
    clouds_yaml.add(path, folder, ACCOUNTS)
    assert path.is_symlink()
    assert list(entries(real)) == ["mine", "onestack", "onestack-admin"]


def test_the_file_is_where_clients_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OS_CLIENT_CONFIG_FILE", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    usual = tmp_path / ".config" / "openstack"
    assert clouds_yaml.location() == usual / "clouds.yaml"
    usual.mkdir(parents=True)
    (usual / "clouds.yml").touch()
    assert clouds_yaml.location() == usual / "clouds.yml"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert clouds_yaml.location() == usual / "clouds.yml"
    (usual / "clouds.yml").unlink()
    assert clouds_yaml.location() == tmp_path / "xdg" / "openstack" / "clouds.yaml"
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "mine.yaml"))
    assert clouds_yaml.location() == tmp_path / "mine.yaml"


def test_a_file_that_hides_ours_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OS_CLIENT_CONFIG_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    ours = tmp_path / "home" / "clouds.yaml"
    before = clouds_yaml.conflicts(ours)
    (tmp_path / "clouds.yaml").touch()
    assert any(str(tmp_path / "clouds.yaml") in line for line in clouds_yaml.conflicts(ours))
    assert not any(str(tmp_path) in line for line in before if os.fspath(ours) not in line)


def _ours() -> dict[str, Entry]:
    return {"onestack": ACCOUNTS["demo"], "onestack-admin": ACCOUNTS[ADMIN]}
