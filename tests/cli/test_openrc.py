"""openrc files: whatever a name or password holds, the shell reads it back and runs none of it."""

import subprocess
from pathlib import Path

import pytest

from onestack.cli.accounts import Entry, openrc

NASTY = ["$(touch pwned)", "`touch pwned`", "'; touch pwned; '", '"; touch pwned; "', "a b\n c",
         "\\", "!!", "${HOME}", "é ü 漢", "-n", ""]  # fmt: skip


@pytest.mark.parametrize("value", NASTY)
def test_ossn_0097_values_reach_the_environment_unharmed(tmp_path: Path, value: str) -> None:
    path = tmp_path / "openrc"
    path.write_text(openrc(_entry(value)))
    show = '. ./openrc && printf \'%s\\0\' "$OS_PROJECT_NAME" "$OS_PASSWORD"'
    done = subprocess.run(
        ["sh", "-euc", show], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\0")[:2] == [value, value]
    assert [each.name for each in tmp_path.iterdir()] == ["openrc"]


def test_what_an_earlier_openrc_left_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "openrc"
    path.write_text(openrc(_entry("x")))
    done = subprocess.run(
        ["sh", "-c", ". ./openrc && env"], cwd=tmp_path, capture_output=True, text=True,
        check=True, env={"OS_CLOUD": "other", "OS_TOKEN": "t", "OS_SYSTEM_SCOPE": "all"},
    )  # fmt: skip
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("OS_"))
    assert seen == {
        "OS_AUTH_URL": "http://h:5000/identity/v3", "OS_USERNAME": "u", "OS_PASSWORD": "x",
        "OS_PROJECT_NAME": "x", "OS_REGION_NAME": "RegionOne", "OS_IDENTITY_API_VERSION": "3",
    }  # fmt: skip


def _entry(value: str) -> Entry:
    auth = {"auth_url": "http://h:5000/identity/v3", "username": "u", "password": value,
            "project_name": value}  # fmt: skip
    return {"auth": auth, "region_name": "RegionOne", "identity_api_version": 3}
