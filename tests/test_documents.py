"""What the documents say of settings, verbs and files is what there is."""

import re
from pathlib import Path

import msgspec

from onestack import main
from onestack.cli import VERBS

ROOT = Path(__file__).resolve().parents[1]
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \|", re.MULTILINE)
LONG = {"filters", "weights"}  # lists that settings.py shows better


def test_every_setting_is_explained_with_its_default() -> None:
    text = (ROOT / "docs/settings.md").read_text()
    said = {
        (part.partition("]")[0], name): default
        for part in text.split("\n## [")[1:]
        for name, default in ROW.findall(part)
    }
    there_are = {
        (section, name): "all of ours" if name in LONG else written(value)
        for section, kind in main.SECTIONS.items()
        for name, value in msgspec.to_builtins(kind()).items()
    }
    assert said == there_are


def written(value: object) -> str:
    return f"`{msgspec.json.encode(value).decode()}`"


def test_every_file_of_the_ground_floor_is_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`(\w+)\.py`", text))
    files = {path.stem for path in (ROOT / "src/onestack/core").glob("*.py")} - {"__init__"}
    policy = {name for name in files if name.startswith("policy")}
    assert "`policy*.py`" in text
    assert files - policy - named == set()


def test_every_part_of_the_package_is_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    tree = text.partition("## Where things are")[2].partition("The path of a thing")[0]
    for path in (ROOT / "src/onestack").iterdir():
        if path.name.startswith(("_", "py.")):
            continue
        assert f"\n      {path.name}{'/' if path.is_dir() else ''} " in tree, path.name


def test_the_readme_names_every_verb_that_is_for_everybody() -> None:
    text = (ROOT / "README.md").read_text()
    for verb in set(VERBS) - {"version"}:
        assert f"onestack {verb}" in text, verb
