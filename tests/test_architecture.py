"""The house's limits: sizes, names, docstrings, and who may import whom where no contract can say.

Every rule is a function that gives its violations; each is shown a sample that breaks it, so that
none of them can fall silent.
"""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import msgspec
import pytest

from onestack import main
from onestack.core.config import SETTINGS_MAX

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
PACKAGE = SOURCE / "onestack"

FILE_LINES, FUNCTION_LINES, PARAMETERS, FACADE_NAMES = 600, 70, 6, 15
VAGUE = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "base"}
UNFINISHED = re.compile(r"\b(T[O]DO|F[I]XME|X[X]X|H[A]CK)\b")
PURE = {"scheduler", "candidates", "ipam", "ring"}
BELOW_IMPURE = ("onestack.core.db", "onestack.core.bus", "sqlalchemy")
TRANSPORTS = ("onestack.core.bus_rabbit",)

# Time, chance, ids and host commands come from core alone, so that a simulation can hold them.
DOORS = {
    "time": "onestack.core.clock",
    "random": "onestack.core.clock",
    "subprocess": "onestack.core.shell",
    "uuid.uuid1": "onestack.core.clock",
    "uuid.uuid4": "onestack.core.clock",
    "datetime.datetime.now": "onestack.core.clock",
    "datetime.datetime.utcnow": "onestack.core.clock",
    "os.system": "onestack.core.shell",
    "os.popen": "onestack.core.shell",
}
DOORS_OPENED = {
    "cli/engines.py": "installs packages before there is a cloud that could be simulated",
    "cli/process.py": "starts the server itself",
    "cli/up.py": "waits for the server that it started",
}


@dataclass(frozen=True)
class File:
    """A Python file of ours: where it is, and what stands in it."""

    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def in_package(self) -> str:
        """The path within the package; empty for a file that is not part of it."""
        inside = self.path.is_relative_to(PACKAGE)
        return str(self.path.relative_to(PACKAGE)) if inside else ""

    @property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        return [node for node in self.nodes if isinstance(node, kinds)]

    @property
    def imports(self) -> list[str]:
        """Everything imported, as dotted names; `from a import b` gives `a.b`."""
        found: list[str] = []
        for node in self.nodes:
            if isinstance(node, ast.Import):
                found += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found += [f"{node.module}.{alias.name}" for alias in node.names]
        return found


Rule = Callable[[File], Iterator[str]]


def file_is_short(file: File) -> Iterator[str]:
    lines = file.text.count("\n")
    if lines > FILE_LINES:
        yield f"{lines} lines; {FILE_LINES} are the limit"


def functions_are_short(file: File) -> Iterator[str]:
    for node in file.functions:
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_LINES:
            yield f"{node.name} has {lines} lines; {FUNCTION_LINES} are the limit"


def functions_take_few_parameters(file: File) -> Iterator[str]:
    lines = file.text.splitlines()
    for node in file.functions:
        given = node.args
        names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        count = len([name for name in names if name not in ("self", "cls")])
        is_argued = "PLR0913 - " in lines[node.lineno - 1] or "PLR0917 - " in lines[node.lineno - 1]
        if count > PARAMETERS and not is_argued:
            yield f"{node.name} takes {count} parameters; {PARAMETERS} are the limit"


def opens_with_a_docstring(file: File) -> Iterator[str]:
    said = ast.get_docstring(file.tree)
    if file.text.strip() and not (said or "").partition("\n")[0].strip():
        yield "does not open with a line that says what it is"


def is_finished(file: File) -> Iterator[str]:
    for number, line in enumerate(file.text.splitlines(), 1):
        if UNFINISHED.search(line):
            yield f"line {number} marks unfinished work"


def is_named_after_something(file: File) -> Iterator[str]:
    if {file.path.stem, file.path.parent.name} & VAGUE:
        yield "has a name that says nothing"
    for node in file.nodes:
        if isinstance(node, ast.ClassDef):
            words = re.findall(r"[A-Z][a-z]+|[A-Z]+(?![a-z])", node.name)
            if {word.lower() for word in words} & VAGUE:
                yield f"class {node.name} has a name that says nothing"


def facade_is_small(file: File) -> Iterator[str]:
    if file.path.name != "__init__.py" or not file.in_package:
        return
    for node in file.tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            count = len(ast.literal_eval(node.value))
            if count > FACADE_NAMES:
                yield f"its facade has {count} names; {FACADE_NAMES} are the limit"


def uses_the_doors(file: File) -> Iterator[str]:
    inside = file.in_package
    if not inside or inside.startswith("core/") or inside in DOORS_OPENED:
        return
    for closed, door in DOORS.items():
        if any(_is_within(name, closed) for name in file.imports):
            yield f"imports {closed}; {door} is the door to it"
        if "." in closed and _is_called(file, closed):
            yield f"calls {closed}; {door} is the door to it"


def driver_knows_no_database(file: File) -> Iterator[str]:
    if "/drivers/" not in file.in_package:
        return
    for name in file.imports:
        is_row = "record" in name.split(".")
        if is_row or any(_is_within(name, each) for each in ("onestack.core.db", "sqlalchemy")):
            yield f"a driver imports {name}"


def pure_module_is_pure(file: File) -> Iterator[str]:
    if not file.in_package or file.path.stem not in PURE:
        return
    for name in file.imports:
        if any(_is_within(name, impure) for impure in BELOW_IMPURE):
            yield f"a pure module imports {name}"


def only_main_wires(file: File) -> Iterator[str]:
    if not file.in_package or file.in_package in ("main.py", "hosts.py"):
        return
    for name in file.imports:
        own = ".".join(file.path.relative_to(SOURCE).parent.parts)
        is_driver = ".drivers" in name and not name.startswith(own)
        if is_driver or any(_is_within(name, each) for each in TRANSPORTS):
            yield f"imports {name}; only main.py and hosts.py know which drivers there are"


def migration_knows_no_service(file: File) -> Iterator[str]:
    if not file.in_package.startswith("migrations/"):
        return
    for name in file.imports:
        if _is_within(name, "onestack") and not _is_within(name, "onestack.core"):
            yield f"imports {name}; a migration must not change when that does"


RULES: dict[Rule, tuple[str, str]] = {
    file_is_short: ("src/onestack/x.py", '"""X."""\n' * 601),
    functions_are_short: ("src/onestack/x.py", "def f():\n" + "    pass\n" * 70),
    functions_take_few_parameters: ("src/onestack/x.py", "def f(a, b, c, d, /, e, *, f, g): ..."),
    opens_with_a_docstring: ("src/onestack/x.py", "import os\n"),
    is_finished: ("src/onestack/x.py", "# TO" + "DO: later\n"),
    is_named_after_something: ("src/onestack/x.py", "class ServerManager: ...\n"),
    facade_is_small: ("src/onestack/x/__init__.py", f"__all__ = {[str(n) for n in range(16)]}"),
    uses_the_doors: ("src/onestack/x.py", "from datetime import datetime\ndatetime.now()\n"),
    driver_knows_no_database: (
        "src/onestack/x/drivers/y.py", "from onestack.compute.servers.record import ServerRecord\n"
    ),
    pure_module_is_pure: ("src/onestack/x/ring.py", "from sqlalchemy.orm import Session\n"),
    only_main_wires: ("src/onestack/x.py", "from onestack.core.bus_rabbit import Rabbit\n"),
    migration_knows_no_service: (
        "src/onestack/migrations/versions/1.py", "from onestack.identity.users import record\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_file_obeys(rule: Rule) -> None:
    broken = [f"{file.name}: {violation}" for file in _files() for violation in rule(file)]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("rule", "sample"), RULES.items(), ids=[rule.__name__ for rule in RULES]
)  # fmt: skip
def test_the_rule_notices(rule: Rule, sample: tuple[str, str]) -> None:
    path, text = sample
    assert list(rule(File(ROOT / path, text)))


def test_closed_doors_are_noticed_in_every_form() -> None:
    for text in ("import time", "from time import sleep", "import random", "import subprocess",
                 "from uuid import uuid4", "import uuid\nuuid.uuid4()", "import os\nos.system('x')",
                 "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime\ndatetime.now()",
    ):  # fmt: skip
        assert list(uses_the_doors(File(PACKAGE / "identity" / "x.py", text))), text


def test_settings_are_few() -> None:
    settings = [
        f"{section}.{field.name}"
        for section, kind in main.SECTIONS.items()
        for field in msgspec.structs.fields(kind)
    ]
    assert 0 < len(settings) <= SETTINGS_MAX == 60


def test_every_service_has_a_facade() -> None:
    for path in PACKAGE.glob("*/__init__.py"):
        if path.parent.name not in ("core", "cli", "migrations", "gateways"):
            assert "__all__" in path.read_text(), path


def test_every_module_imports_alone() -> None:
    """One that only works when another was imported before it would break its next user."""
    modules = [
        ".".join(file.path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for file in _files()
        if file.in_package and not file.in_package.startswith("migrations/")
    ]
    outsiders = _run(_LIST_OUTSIDERS, modules)
    failures = _run(_IMPORT_EACH_ALONE, [outsiders, modules])
    assert len(modules) > 50
    assert failures == []


def test_a_module_that_does_not_import_alone_is_noticed() -> None:
    failures = _run(
        _IMPORT_EACH_ALONE, [[], ["onestack", "onestack.cli", "onestack.cli.no", "onestack.no"]]
    )
    assert [name for name, _ in failures] == ["onestack.cli.no", "onestack.no"]


_LIST_OUTSIDERS = """
import importlib, json, sys
for module in json.load(sys.stdin):
    try:
        importlib.import_module(module)
    except Exception:
        pass
print(json.dumps([name for name in sys.modules if name.partition(".")[0] != "onestack"]))
"""

# Other people's packages are imported once, by the first process. Importing a module begins with
# the packages around it, so what a package brings along has been imported as if alone; each of the
# rest is imported by a process of its own.
_IMPORT_EACH_ALONE = """
import importlib, itertools, json, os, sys, traceback
outsiders, modules = json.load(sys.stdin)
for name in outsiders:
    try:
        importlib.import_module(name)
    except Exception:
        pass
assert "onestack" not in sys.modules

def alone(module, rest=()):
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        failures = []
        try:
            importlib.import_module(module)
            for other in rest:
                if other not in sys.modules:
                    failures += alone(other)
        except BaseException:
            failures = [(module, traceback.format_exc()[-1000:])]
        with os.fdopen(writable, "w") as pipe:
            json.dump(failures, pipe)
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return json.loads(said) if said else [(module, "ended without a word")]

failures = []
for package, members in itertools.groupby(sorted(modules), lambda name: name.split(".")[:2]):
    failures += alone(".".join(package), list(members))
print(json.dumps(failures))
"""


def _run(program: str, given: object) -> list[object]:
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(given), capture_output=True, text=True,
        check=True, timeout=300,
    )  # fmt: skip
    answer: list[object] = json.loads(done.stdout)
    return answer


@cache
def _files() -> list[File]:
    paths = [path for part in ("src", "tests", "bench") for path in (ROOT / part).rglob("*.py")]
    return [File(path, path.read_text()) for path in sorted(paths)]


def _is_called(file: File, function: str) -> bool:
    """Whether a function is called, by its full name or by what `from module import` leaves."""
    names = (function, function.partition(".")[2])
    calls = (ast.unparse(node.func) for node in file.nodes if isinstance(node, ast.Call))
    return any(name in names for name in calls)


def _is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")
