"""What an operator asks a cloud that runs: status, doctor, logs, traces, schema, keys."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.command import Shell, command, free_port


def test_status_says_what_runs_and_what_is_real(cloud: Shell) -> None:
    said = cloud.good("status", "-o", "json").json
    assert said["healthy"] is True
    assert said["data"] == cloud.variables["ONESTACK_DATA"]
    (process,) = said["processes"]
    assert 20 < process["memory_mb"] < 200
    assert 0 < process["uptime_s"] < 600
    services = {each["name"]: each for each in said["services"]}
    assert services["identity"]["url"] == f"{said['url']}/identity"
    assert services["identity"]["state"] == "ok"
    assert {each["engine"]: each["driver"] for each in said["engines"]} == {
        "database": "SQLite", "bus": "local",
        "hypervisor": "simulated", "switch": "simulated", "backend": "simulated",
    }  # fmt: skip
    states = {each["engine"]: each["state"] for each in said["engines"]}
    assert (states["database"], states["hypervisor"]) == ("real", "simulated")
    table = cloud.good("status").out
    assert "\x1b" not in table
    assert str(process["pid"]) in table


def test_doctor_finds_a_healthy_cloud_healthy(cloud: Shell) -> None:
    rows = {row["check"]: row for row in cloud.good("doctor", "-o", "json").json}
    not_ok = {name: row for name, row in rows.items() if row["state"] != "ok"}
    assert not_ok.keys() <= {"clouds.yaml", "disk space", "open files"}, not_ok
    assert {"python", "database", "token keys", "secrets", "server", "bus", "clock"} <= rows.keys()


def test_doctor_says_how_to_mend_what_fails(shell: Shell) -> None:
    data = shell.home / "data"
    shell.good("up", "--data", data, "--port", free_port())
    shell.good("down", "--data", data)
    (data / "admin.json").chmod(0o644)
    (data / "keys" / "fernet" / "0").unlink()
    shell.clouds_yaml.write_text("clouds: [\n")
    nothing = f"amqp://guest@127.0.0.1:{free_port()}/"
    said = shell.run("doctor", "--data", data, "-o", "json", ONESTACK_CLOUD_BUS=nothing)
    assert said.code == 1
    mend = {row["check"]: row["mend"] for row in said.json if row["state"] == "fail"}
    assert mend.keys() == {"secrets", "token keys", "clouds.yaml", "bus"}
    assert mend["secrets"] == f"chmod go= {data}/admin.json"
    assert mend["token keys"] == f"onestack keys rotate --data {data}"
    subprocess.run(mend["secrets"], shell=True, check=True)  # noqa: S602 - it is what we tell people
    shell.good("keys", "rotate", "--data", data)
    shell.clouds_yaml.unlink()
    assert shell.good("doctor", "--data", data).code == 0


def test_doctor_sees_a_database_that_lags_behind(shell: Shell) -> None:
    data = shell.home / "data"
    shell.good("up", "--data", data, "--port", free_port())
    refused = shell.run("db", "downgrade", "base", "--data", data)
    assert refused.code == 1
    assert "onestack down" in refused.err
    shell.good("down", "--data", data)
    assert "went from" in shell.good("db", "downgrade", "-1", "--data", data).out
    assert "went from" in shell.good("db", "downgrade", "base", "--data", data).out
    assert shell.run("db", "check", "--data", data).code == 1
    rows = {row["check"]: row for row in shell.run("doctor", "--data", data, "-o", "json").json}
    assert rows["database"]["state"] == "fail"
    assert rows["database"]["mend"] == f"onestack db upgrade --data {data}"
    assert "went from base" in shell.good("db", "upgrade", "--data", data).out
    assert "nothing was changed" in shell.good("db", "upgrade", "--data", data).out
    found = shell.good("db", "current", "--data", data, "-o", "json").json
    assert found["current"] == found["newest"]


def test_the_schema_is_what_the_records_say(cloud: Shell) -> None:
    assert "up to date" in cloud.good("db", "check").out


def test_logs_show_the_end_and_one_request(cloud: Shell) -> None:
    cloud.good("status")
    lines = [
        json.loads(line) for line in cloud.good("logs", "-n", 2, "-o", "json").out.splitlines()
    ]
    assert [line["path"] for line in lines] == ["/healthz", "/"]
    request_id = lines[0]["request_id"]
    (only,) = cloud.good("logs", "--request", request_id).out.splitlines()
    assert request_id in only
    assert "path=/healthz" in only
    assert cloud.good("logs", "--request", "req-nobody").out == ""
    assert "path=/healthz" not in cloud.good("logs", "--level", "warning").out


def test_logs_follow_what_comes_in(cloud: Shell) -> None:
    with subprocess.Popen(
        command("logs", "--follow", "-n", 0), env=cloud.environ, stdout=subprocess.PIPE, text=True
    ) as follower:
        try:
            assert follower.stdout is not None
            time.sleep(0.5)
            cloud.good("status")
            assert "path=/healthz" in follower.stdout.readline()
        finally:
            follower.kill()


def test_the_log_commands_no_terminal(cloud: Shell) -> None:
    log = Path(cloud.variables["ONESTACK_DATA"]) / "logs" / "onestack.log"
    with log.open("a") as file:
        file.write(json.dumps({"level": "error", "message": "\x1b[2Jgone", "path": "\x1b]0;x"}))
        file.write("\nplain \x1b[31m words\n")
    said = cloud.good("logs", "-n", 2).out
    assert "gone" in said
    assert "words" in said
    assert "\x1b" not in said


def test_a_trace_is_a_tree_with_times(cloud: Shell) -> None:
    cloud.good("status")
    line = json.loads(cloud.good("logs", "-n", 2, "-o", "json").out.splitlines()[0])
    tree = cloud.good("trace", line["request_id"]).out.splitlines()
    assert tree[0].startswith(line["request_id"])
    assert tree[2].split()[:1] == ["0.000"]
    assert tree[2].endswith("  rest GET /healthz")
    assert "    sql SELECT" in tree[3] or "  sql " in tree[3]
    (trace,) = cloud.good("trace", line["request_id"], "-o", "json").json
    assert [span["kind"] for span in trace["spans"]][:2] == ["rest", "sql"]
    missing = cloud.run("trace", "req-nobody")
    assert missing.code == 1
    assert "no trace of req-nobody" in missing.err


def test_keys_rotate_under_a_running_cloud(cloud: Shell) -> None:
    before = cloud.good("keys", "list", "-o", "json").json
    assert [row["state"] for row in before] == ["primary", "staged"]
    assert {row["mode"] for row in before} == {"0600"}
    cloud.good("keys", "rotate")
    after = cloud.good("keys", "list", "-o", "json").json
    assert [row["state"] for row in after] == ["primary", "old", "staged"]
    assert int(after[0]["file"]) == int(before[0]["file"]) + 1
    cloud.good("status")
    request = json.loads(cloud.good("logs", "-n", 1, "-o", "json").out)["request_id"]
    cloud.good("trace", request)


def test_the_key_of_secrets_rotates_under_a_running_cloud(cloud: Shell) -> None:
    folder = Path(cloud.variables["ONESTACK_DATA"]) / "keys" / "credential"
    before = {path.name for path in folder.iterdir() if path.name.isdigit()}
    assert cloud.good("keys", "rotate", "--credential").out.startswith("a new key encrypts ")
    after = {path.name for path in folder.iterdir() if path.name.isdigit()}
    assert len(after - before) == 1
    cloud.good("status")


@pytest.mark.parametrize("words", [("status",), ("policy", "list"), ("keys", "list")])
def test_tables_are_plain_where_nobody_watches(cloud: Shell, words: tuple[str, ...]) -> None:
    said = cloud.good(*words, FORCE_COLOR="1").out
    assert "\x1b" not in said
    assert not set("│─┃━") & set(said)
