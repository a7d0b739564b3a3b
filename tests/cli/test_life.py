"""Clouds that start and stop: by hand, twice, by a crash, side by side, and ephemeral ones."""

import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Shell, entries, free_port, is_alive, kill

WAIT_S = 60


def test_up_and_down_with_all_that_they_promise(shell: Shell) -> None:
    data, port = shell.home / "data", free_port()
    shell.clouds_yaml.parent.mkdir(parents=True)
    shell.clouds_yaml.write_text("clouds:\n  mine: {region_name: A}  # keep me\n")
    up = shell.good("up", "--data", data, "--port", port, "-o", "json")
    facts = up.json
    assert facts["auth_url"] == f"http://127.0.0.1:{port}/identity/v3"
    assert facts["clouds"] == ["onestack", "onestack-admin"]
    assert " s  healthy" in up.err
    assert "# keep me" in shell.clouds_yaml.read_text()
    clouds = entries(shell.clouds_yaml)
    assert list(clouds) == ["mine", "onestack", "onestack-admin"]
    assert clouds["onestack-admin"]["auth"]["username"] == "admin"
    assert clouds["onestack"]["auth"]["username"] == "demo"
    for name in ("openrc", "admin-openrc", "clouds.yaml", "admin.json"):
        assert stat.S_IMODE((data / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(data.stat().st_mode) == 0o700

    before = _everything(shell.home)
    again = shell.good("up", "--data", data)
    assert f"runs already (pid {facts['pid']}); nothing was changed" in again.err
    assert _everything(shell.home) == before

    down = shell.good("down", "--data", data)
    assert f"(pid {facts['pid']}): stopped" in down.out
    assert not is_alive(facts["pid"])
    assert not list((data / "run").glob("*.pid"))
    assert list(entries(shell.clouds_yaml)) == ["mine", "onestack", "onestack-admin"]
    assert "nothing was changed" in shell.good("down", "--data", data).out

    later = shell.good("up", "--data", data, "-o", "json").json
    assert later["auth_url"] == facts["auth_url"], "a cloud keeps its address"
    assert shell.good("trace", _request_id(shell, data), "--data", data).out.count("\n") > 2


def test_a_crash_leaves_nothing_that_hinders(shell: Shell) -> None:
    data, port = shell.home / "data", free_port()
    first = shell.good("up", "--data", data, "--port", port, "-o", "json").json
    kill(first["pid"])
    _until(lambda: not is_alive(first["pid"]))
    assert (data / "run" / "onestack.pid").read_text() == f"{first['pid']}\n"
    assert shell.run("status", "--data", data).code == 3
    second = shell.good("up", "--data", data, "-o", "json").json
    assert second["pid"] != first["pid"]


def test_a_pid_that_is_a_strangers_now_is_left_alone(shell: Shell) -> None:
    data = shell.home / "data"
    (data / "run").mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            (data / "run" / "onestack.pid").write_text(f"{stranger.pid}\n")
            (data / "run" / "address").write_text("127.0.0.1 5000\n")
            assert "no cloud runs" in shell.good("down", "--data", data).out
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_copied_folder_is_not_the_cloud_that_it_was_copied_from(shell: Shell) -> None:
    data, copy = shell.home / "data", shell.home / "copy"
    facts = shell.good("up", "--data", data, "--port", free_port(), "-o", "json").json
    subprocess.run(["cp", "-a", str(data), str(copy)], check=True)
    assert shell.run("status", "--data", copy).code == 3
    assert "no cloud runs" in shell.good("down", "--data", copy).out
    assert is_alive(facts["pid"])


def test_a_taken_port_is_named_with_one_that_is_free(shell: Shell) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = shell.run("up", "--data", shell.home / "data", "--port", port)
    assert said.code == 1
    assert f"port {port} on 127.0.0.1 is taken by" in said.err
    assert f"onestack up --port {port + 1}" in said.err or "onestack up --port " in said.err
    assert "pid " in said.err


def test_a_cloud_that_runs_elsewhere_is_not_moved(shell: Shell) -> None:
    data, port = shell.home / "data", free_port()
    shell.good("up", "--data", data, "--port", port)
    said = shell.run("up", "--data", data, "--port", free_port())
    assert said.code == 1
    assert f"at http://127.0.0.1:{port}" in said.err
    assert "onestack down --data" in said.err


def test_clouds_run_side_by_side(shell: Shell) -> None:
    one, two = shell.home / "one", shell.home / "two"
    first = shell.good("up", "--data", one, "--port", free_port(), "-o", "json").json
    second = shell.good("up", "--data", two, "--port", free_port(), "-o", "json").json
    assert second["clouds"] == ["onestack-two", "onestack-two-admin"]
    shell.good("down", "--data", one)
    assert not is_alive(first["pid"])
    assert shell.good("status", "--data", two, "-o", "json").json["healthy"]


def test_two_at_once_make_one_cloud(shell: Shell) -> None:
    data, port = shell.home / "data", free_port()
    both = [shell.start("up", "--data", data, "--port", port, "-o", "json") for _ in range(2)]
    ends = [each.communicate(timeout=60) for each in both]
    assert 0 in [each.returncode for each in both], ends
    status = shell.good("status", "--data", data, "-o", "json").json
    assert len(status["processes"]) == 1


def test_an_ephemeral_cloud_leaves_nothing(shell: Shell) -> None:
    facts = shell.good("up", "--ephemeral", "-o", "json").json
    data = Path(facts["data"])
    assert data.is_dir()
    assert facts["clouds_file"] == str(data / "clouds.yaml")
    assert list(entries(data / "clouds.yaml")) == ["onestack", "onestack-admin"]
    assert not shell.clouds_yaml.exists()
    assert shell.good("status", "-o", "json").json["data"] == str(data)
    assert str(data) in shell.good("down").out
    assert not is_alive(facts["pid"])
    assert not data.exists()
    assert not list((shell.home / "tmp").iterdir())


def test_a_killed_ephemeral_cloud_is_cleared_by_down(shell: Shell) -> None:
    facts = shell.good("up", "--ephemeral", "-o", "json").json
    kill(facts["pid"])
    _until(lambda: not is_alive(facts["pid"]))
    shell.good("down")
    assert not Path(facts["data"]).exists()


def test_of_several_ephemeral_clouds_one_must_be_named(shell: Shell) -> None:
    folders = [shell.good("up", "--ephemeral", "-o", "json").json["data"] for _ in range(2)]
    said = shell.run("down")
    assert said.code == 1
    assert all(f"--data {folder}" in said.err for folder in folders)
    shell.good("down", "--all")
    assert not any(Path(folder).exists() for folder in folders)


def test_an_ephemeral_cloud_takes_no_folder_with_something_in_it(shell: Shell) -> None:
    data = shell.home / "data"
    data.mkdir()
    (data / "thesis").write_text("precious")
    assert shell.run("up", "--ephemeral", "--data", data).code == 1
    assert [each.name for each in data.iterdir()] == ["thesis"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_foreground_takes_its_server_along(shell: Shell, number: signal.Signals) -> None:
    data = shell.home / "data"
    command = shell.start(
        "up", "--ephemeral", "--foreground", "--data", data, "--port", free_port()
    )
    _until((data / "admin-openrc").exists)
    server = int((data / "run" / "onestack.pid").read_text())
    command.send_signal(number)
    command.communicate(timeout=WAIT_S)
    assert command.returncode == {signal.SIGTERM: 0, signal.SIGINT: 130}.get(number, -9)
    _until(lambda: not is_alive(server))
    _until(lambda: not data.exists())


@pytest.mark.parametrize("form", ["json", "table"])
def test_the_foreground_shows_the_log(shell: Shell, form: str) -> None:
    data = shell.home / "data"
    command = shell.start(
        "up", "--ephemeral", "--foreground", "-o", form, "--data", data, "--port", free_port()
    )
    at_last = threading.Timer(WAIT_S, command.kill)
    at_last.start()
    _until((data / "admin-openrc").exists)
    shell.good("status", "--data", data)
    assert command.stderr is not None
    line = next(line for line in command.stderr if "/healthz" in line)
    assert line.startswith("{") == (form == "json")
    at_last.cancel()
    command.terminate()
    command.communicate(timeout=WAIT_S)


def test_a_server_that_cannot_start_says_why_and_leaves_no_process(shell: Shell) -> None:
    data = shell.home / "data"
    data.mkdir()
    (data / "onestack.toml").write_text("[identity]\nfrobnicate = 1\n")
    said = shell.run("up", "--data", data, "--port", free_port())
    assert said.code == 1
    assert "frobnicate" in said.err
    assert "Traceback" not in said.err
    assert "onestack doctor --data" in said.err
    assert shell.run("status", "--data", data).code == 3


def test_serve_stays_and_stops_when_told(shell: Shell) -> None:
    data, port = shell.home / "data", free_port()
    server = shell.start("serve", "--data", data, "--port", port)
    _until(lambda: shell.run("status", "--data", data).code == 0)
    second = shell.run("serve", "--data", data, "--port", free_port())
    assert second.code == 1
    assert "runs on" in second.err
    server.terminate()
    server.communicate(timeout=WAIT_S)
    assert server.returncode == 0
    assert not list((data / "run").glob("*.pid"))


def test_proxies_are_for_other_hosts(shell: Shell) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    shell.variables |= {"http_proxy": nowhere, "HTTP_PROXY": nowhere, "ALL_PROXY": nowhere}
    shell.good("up", "--data", shell.home / "data", "--port", free_port())


def _everything(home: Path) -> dict[str, bytes]:
    """All files of a user but what the server itself writes while it answers."""
    return {
        str(path): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and "database" not in path.name and path.suffix != ".log"
    }


def _request_id(shell: Shell, data: Path) -> str:
    shell.good("status", "--data", data)
    line = shell.good("logs", "--data", data, "-n", 1, "-o", "json").json
    return str(line["request_id"])


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_server_is_launched_as_soon_as_an_ephemeral_cloud_is_up(shell: Shell) -> None:
    shell.good("up", "--ephemeral")
    said = shell.good("launch", "--no-wait", "first").out
    assert said.startswith("first is ready at 172.")
    shell.good("down")
