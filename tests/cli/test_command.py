"""The command as a whole: what it loads, how it ends, and what it says when it cannot go on."""

import shlex
import subprocess
import sys

import click
import pytest

from onestack.cli import VERBS, Verbs, examples
from onestack.cli import onestack as group
from tests.cli.command import Shell

EXAMPLES = [each for verb in VERBS for each in examples.EXAMPLES[verb]]
HEAVY = {"sqlalchemy", "uvicorn", "msgspec", "yaml", "rich", "alembic", "asyncio", "http.client"}


def test_help_loads_nothing_but_click_and_itself() -> None:
    program = (
        "import sys; sys.argv = ['onestack', '--help']\n"
        "from onestack.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    loaded = set(said.splitlines()[-1].split())
    ours = {name for name in loaded if name.startswith("onestack")}
    assert ours == {"onestack", "onestack.cli", "onestack.cli.errors"}
    assert not loaded & HEAVY
    assert "click" in loaded


def test_help_names_every_verb_and_exit_code(shell: Shell) -> None:
    said = shell.good("--help").out
    for verb, summary in VERBS.items():
        assert f"  {verb} " in said
        assert summary in said
    for code in ("0  ", "1  ", "2  ", "3  ", "130"):
        assert f"\n    {code}" in said


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_says_of_itself_what_the_list_says(verb: str) -> None:
    assert isinstance(group, Verbs)
    command = group.get_command(click.Context(group), verb)
    assert command is not None
    assert (command.help or "").splitlines()[0] == VERBS[verb]


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_shows_how_it_is_used(shell: Shell, verb: str) -> None:
    said = shell.good(verb, "--help").out
    assert examples.EXAMPLES[verb]
    for each in examples.EXAMPLES[verb]:
        assert f"\n    {each}\n" in said


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_command_lines_that_there_are(example: str) -> None:
    parse(group, *shlex.split(example))


def parse(command: click.Command, name: str, *arguments: str) -> None:
    """Take a command line apart, as far as its last verb, without doing what it says."""
    context = command.make_context(name, list(arguments))
    if isinstance(command, click.Group):
        left = [*context._protected_args, *context.args]
        found = command.get_command(context, left[0])
        assert found is not None, left
        parse(found, *left)


def test_version(shell: Shell) -> None:
    assert shell.good("version").out.startswith("onestack 0.")
    assert shell.good("version", "-o", "json").json["version"].startswith("0.")


@pytest.mark.parametrize(
    "words", [("fly",), ("up", "--port", "0"), ("up", "--port", "99999"), ("logs", "--level", "x"),
              ("status", "-o", "xml"), ("trace",), ("serve", "--role", "king")],
)  # fmt: skip
def test_a_wrong_command_line_is_2(shell: Shell, words: tuple[str, ...]) -> None:
    said = shell.run(*words)
    assert said.code == 2
    assert "Error: " in said.err
    assert not said.out


@pytest.mark.parametrize(
    "words", [("status",), ("trace", "req-x"), ("logs",), ("keys", "list"), ("db", "current")],
    ids=" ".join,
)  # fmt: skip
def test_what_needs_a_cloud_is_3_and_names_the_next_command(
    shell: Shell, words: tuple[str, ...]
) -> None:
    said = shell.run(*words, "--data", shell.home / "nowhere")
    assert said.code == 3
    assert f"onestack up --data {shell.home}/nowhere" in said.err
    assert "Traceback" not in said.err


def test_an_unknown_service_is_named_with_the_known_ones(shell: Shell) -> None:
    said = shell.run("openapi", "identty")
    assert said.code == 1
    assert "'identty'" in said.err
    assert "identity" in said.err.partition("Next:")[2]


def test_tracebacks_are_for_those_who_ask(shell: Shell) -> None:
    (shell.home / "data" / "run").mkdir(parents=True)
    (shell.home / "data" / "admin.json").write_text("[]")
    (shell.home / "data" / "logs").mkdir()
    (shell.home / "data" / "logs" / "onestack.log").mkdir()
    words = ("logs", "--data", shell.home / "data")
    said = shell.run(*words)
    assert (said.code, "Traceback" in said.err) == (1, False)
    assert "ONESTACK_DEBUG=1" in said.err
    assert "Traceback" in shell.run(*words, ONESTACK_DEBUG="1").err


def test_a_reader_who_leaves_early_is_no_failure(shell: Shell) -> None:
    line = f"set -o pipefail; {sys.executable} -m onestack.cli openapi identity | head -1"
    done = subprocess.run(
        ["bash", "-c", line],
        env=shell.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


def test_openapi_is_made_without_a_server(shell: Shell) -> None:
    document = shell.good("openapi", "identity").json
    assert document["openapi"].startswith("3.1")
    assert "post" in document["paths"]["/identity/v3/auth/tokens"]
    assert shell.run("openapi", "identity", "--version", "much").code == 1


def test_policies_are_listed_with_the_operators_own(shell: Shell) -> None:
    data = shell.home / "data"
    data.mkdir()
    (data / "policy.yaml").write_text('"identity:get_group": "role:auditor"\n')
    rules = {
        row["rule"]: row for row in shell.good("policy", "list", "--data", data, "-o", "json").json
    }
    assert rules["identity:get_group"]["check"] == "role:auditor"
    assert rules["identity:get_group"]["source"] == "policy.yaml"
    assert rules["identity:list_groups"]["source"] == "default"
    few = shell.good("policy", "list", "--data", data, "--overridden").out.splitlines()
    assert few[0].split() == ["SERVICE", "RULE", "CHECK", "SCOPES", "SOURCE"]
    assert len(few) == 2
    (data / "policy.yaml").write_text('"identity:get_group": "role:admin or"\n')
    broken = shell.run("policy", "list", "--data", data)
    assert broken.code == 1
    assert "policy.yaml" in broken.err
