"""Host programs: what they are given, what is taken from them, and how they are ended."""

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from onestack.core import log, shell, shell_host, trace
from tests.core.stream_service import wait_for


def sh(script: str, *arguments: str) -> list[str]:
    return ["sh", "-c", script, "sh", *arguments]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_program_takes_its_input_and_gives_its_output() -> None:
    result = shell.run(["tr", "a-z", "A-Z"], input=b"hello", timeout_s=10)
    assert (result.text, result.stderr, result.code) == ("HELLO", b"", 0)


def test_large_input_and_output_pass_at_once() -> None:
    content = os.urandom(4 << 20)
    assert shell.run(["cat"], input=content, timeout_s=60).stdout == content


def test_a_program_that_ignores_its_input_is_no_trouble() -> None:
    assert shell.run(["true"], input=bytes(4 << 20), timeout_s=10).code == 0


def test_without_input_there_is_none() -> None:
    assert shell.run(["cat"], timeout_s=10).stdout == b""


def test_arguments_are_never_read_by_a_shell(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    for text in (f"$(touch {victim})", f"; touch {victim}", f"`touch {victim}`", "*", "a\nb", ""):
        assert shell.run(["printf", "%s", text], timeout_s=10).text == text
    assert not victim.exists()


def test_a_command_is_a_list() -> None:
    for wrong in ("ls -l", ()):
        with pytest.raises(TypeError):
            shell.run(wrong, timeout_s=10)


def test_the_environment_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_PASSWORD", "secret")
    lines = shell.run(["env"], timeout_s=10, environment={"MORE": "1"}).text.splitlines()
    assert {line.partition("=")[0] for line in lines} == {"LC_ALL", "PATH", "MORE"}
    assert "LC_ALL=C" in lines


def test_another_code_is_an_error_unless_it_is_expected() -> None:
    with pytest.raises(shell.CommandFailed) as failure:
        shell.run(sh("echo so what >&2; exit 3"), timeout_s=10)
    assert "exited with 3: so what" in str(failure.value)
    assert failure.value.result == shell.Result(b"", b"so what\n", 3)
    assert shell.run(sh("exit 3"), timeout_s=10, ok_codes=(0, 3)).code == 3
    with pytest.raises(shell.CommandFailed, match="was killed by signal 9"):
        shell.run(sh("kill -9 $$"), timeout_s=10)


def test_a_missing_program_is_named() -> None:
    with pytest.raises(shell.ProgramMissing, match="no program no-such-program"):
        shell.run(["no-such-program", "-x"], timeout_s=10)
    assert shell.find("no-such-program") is None
    assert Path(shell.find("sh") or "").name == "sh"


def test_a_program_that_takes_too_long_is_killed_with_all_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    began = time.monotonic()
    with pytest.raises(shell.TimedOut, match=r"longer than 0\.5 seconds"):
        shell.run(sh('sleep 60 & echo $$ $! > "$1"; wait', str(pids)), timeout_s=0.5)
    assert time.monotonic() - began < 5
    started = [int(pid) for pid in pids.read_text().split()]
    wait_for(lambda: not any(lives(pid) for pid in started))


def test_a_program_that_left_another_running_has_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    result = shell.run(sh("echo done; sleep 5 & echo $!"), timeout_s=60)
    done, pid = result.text.split()
    assert done == "done"
    assert time.monotonic() - began < 4
    os.kill(int(pid), 9)


def test_output_is_bounded() -> None:
    with pytest.raises(shell.OutputTooLarge):
        shell.run(["cat", "/dev/zero"], timeout_s=60)


def test_limits_hold_from_the_first_instruction() -> None:
    seen = shell.run(
        sh("ulimit -v; ulimit -t; echo $0"), timeout_s=10,
        limits=shell.Limits(address_space_mb=512, cpu_s=7),
    )  # fmt: skip
    assert seen.text.split() == [str(512 * 1024), "7", "sh"]
    with pytest.raises(shell.CommandFailed):
        shell.run(
            sh("while :; do :; done"), timeout_s=20, limits=shell.Limits(cpu_s=1)
        )  # fmt: skip
    with pytest.raises(shell.CommandFailed):
        shell.run(
            sh("x=$(tr '\\0' x </dev/zero | head -c 900m)"), timeout_s=20,
            limits=shell.Limits(address_space_mb=64),
        )  # fmt: skip


def test_secrets_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = io.StringIO()
    monkeypatch.setattr(log, "_stream", lines)
    secret = shell.Secret("hunter2")
    with pytest.raises(shell.CommandFailed) as failure:
        shell.run([*sh('echo "$1 is wrong" >&2; exit 1'), secret], timeout_s=10)
    assert "*** is wrong" in str(failure.value)
    assert "*** is wrong" in lines.getvalue()
    assert "hunter2" not in str(failure.value) + repr(secret) + lines.getvalue()


def test_traces_show_commands() -> None:
    with trace.recording("req-shell") as kept:
        shell.run(["echo", "two words", shell.Secret("hunter2")], timeout_s=10)
        with pytest.raises(shell.CommandFailed):
            shell.run(["false"], timeout_s=10)
    shown = [(span.kind, span.name, span.error) for span in kept.spans]
    assert shown == [
        ("command", "echo 'two words' ***", None), ("command", "false", "CommandFailed")
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "-rf", "--help", "a\0b", "a\nb", "\x1b[2J", "\x7f", "\ud800"])
def test_values_that_could_be_something_else_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        shell.value(text)


def test_values_of_users_are_arguments() -> None:
    for text in ("name", "a b", "größe", "$(x)", "a-b", "/path"):
        assert shell.value(text) == text


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[shell.Daemon]:
    started = shell.spawn(sh("echo started; exec sleep 60"), log_path=tmp_path / "log")
    yield started
    shell.stop(started, patience_s=0)


def test_a_daemon_runs_until_it_is_stopped(daemon: shell.Daemon, tmp_path: Path) -> None:
    log = tmp_path / "log"
    wait_for(lambda: log.read_text() == "started\n")
    assert log.stat().st_mode & 0o777 == 0o600
    assert shell.is_alive(daemon)
    assert os.getpgid(daemon.pid) == daemon.pid
    assert not shell.stop(daemon)
    assert not shell.is_alive(daemon)
    assert not Path(f"/proc/{daemon.pid}").exists()
    assert not shell.stop(daemon)


def test_a_stubborn_daemon_is_killed_with_all_it_started(tmp_path: Path) -> None:
    log = tmp_path / "log"
    stubborn = shell.spawn(sh("trap '' TERM; sleep 60 & echo $!; wait; wait"), log_path=log)
    wait_for(log.read_text)
    assert shell.stop(stubborn, patience_s=0.2)
    assert not shell.is_alive(stubborn)
    wait_for(lambda: not lives(int(log.read_text())))


def test_a_daemon_that_nobody_noted_gives_way_to_the_next(tmp_path: Path) -> None:
    log, other_log = tmp_path / "log", tmp_path / "other"
    lost, other, after = [_sleeper(path) for path in (log, other_log, log)]
    assert [shell.is_alive(each) for each in (lost, other, after)] == [False, True, True]
    shell.stop_spawned(log)
    shell.stop_spawned(tmp_path / "none")
    assert [shell.is_alive(each) for each in (other, after)] == [True, False]
    shell.stop(other)


def _sleeper(log_path: Path) -> shell.Daemon:
    started = shell.spawn(["sleep", "60"], log_path=log_path)
    wait_for(Path(f"/proc/{started.pid}/environ").read_bytes)  # until it is that program
    return started


def test_a_daemon_that_ended_by_itself_is_dead(tmp_path: Path) -> None:
    short = shell.spawn(["true"], log_path=tmp_path / "log")
    wait_for(lambda: not shell.is_alive(short))


def test_a_stranger_with_its_number_is_left_alone(daemon: shell.Daemon) -> None:
    for stranger in (
        replace(daemon, started_ticks=daemon.started_ticks + 1),
        replace(daemon, boot_id="another boot"),
    ):
        assert not shell.is_alive(stranger)
        assert not shell.stop(stranger)
    assert shell.is_alive(daemon)


def test_a_daemon_is_known_to_another_process_too(daemon: shell.Daemon) -> None:
    another = shell_host.Host()
    assert another.is_alive(daemon)
    assert not another.stop(daemon, 10)
    assert not shell.is_alive(daemon)


def test_a_simulation_holds_the_door(tmp_path: Path) -> None:
    def answer(argv: tuple[str, ...], given: bytes | None) -> shell.Result:
        return shell.Result(given or b"", b"refused", 1 if argv[-1] == "bad" else 0)

    simulated = shell.Simulated(answer)
    with shell.use(simulated):
        assert shell.run(["mkfs", "good"], input=b"x", timeout_s=1).stdout == b"x"
        with pytest.raises(shell.CommandFailed, match="refused"):
            shell.run(["mkfs", "bad"], timeout_s=1)
        started = shell.spawn(["dnsmasq"], log_path=tmp_path / "log")
        assert shell.is_alive(started)
        shell.stop(started)
        assert not shell.is_alive(started)
    assert simulated.commands == [("mkfs", "good"), ("mkfs", "bad"), ("dnsmasq",)]
    assert shell.run(["echo", "real"], timeout_s=10).text == "real\n"
