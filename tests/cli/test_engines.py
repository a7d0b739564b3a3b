"""Engines: what the host lacks is named with the command that installs it, and nothing breaks."""

import stat
from pathlib import Path

import pytest

from onestack.cli.engines import Engine, install, main, missing, remedy

SHELL = Engine("a shell", "dash", "sh", "nobody could type")
FANTASY = Engine(
    "a fantasy", "onestack-fantasy", "onestack-fantasy-program", "dreams are simulated"
)


def test_only_what_is_not_there_is_missing() -> None:
    assert missing((SHELL, FANTASY)) == [FANTASY]
    assert remedy([FANTASY, FANTASY]).endswith("--no-install-recommends onestack-fantasy")


def test_what_apt_brings_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An apt-get that knows the package only after `update`, as on a fresh machine."""
    _apt(
        tmp_path,
        f'case "$*" in *update*) touch {tmp_path}/lists;;\n'
        f"*install*onestack-fantasy*) [ -e {tmp_path}/lists ] || exit 100\n"
        f"  cp {tmp_path}/apt-get {tmp_path}/onestack-fantasy-program;;\nesac",
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert install((SHELL, FANTASY)) == []


def test_what_cannot_be_had_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _apt(tmp_path, "exit 100")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    main((SHELL, FANTASY))
    said = capsys.readouterr().err
    assert "a fantasy is simulated: dreams are simulated" in said
    assert "apt-get install --no-install-recommends onestack-fantasy" in said
    assert "a shell" not in said


def _apt(folder: Path, script: str) -> None:
    path = folder / "apt-get"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
