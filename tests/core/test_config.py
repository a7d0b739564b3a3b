"""Settings: where they come from, and what is said of those that cannot be used."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from onestack import main
from onestack.core import config
from onestack.core.config import ConfigError
from onestack.core.context import Cloud


class Sample(msgspec.Struct, frozen=True):
    name: str = "default"
    count: Annotated[int, Meta(ge=1, le=9)] = 3
    is_on: bool = False
    kind: Literal["a", "b"] = "a"
    ratio: float = 0.5
    names: list[str] = []


def chosen(text: str = "", **environ: str) -> Sample:
    content = tomllib.loads(text)
    named = {f"ONESTACK_SAMPLE_{name}": value for name, value in environ.items()}
    return config.section(Sample, "sample", content, named)


def test_what_nobody_chose_has_its_default() -> None:
    assert chosen() == Sample()


def test_the_file_overrides_the_defaults() -> None:
    assert chosen("[sample]\nname = 'x'\nis_on = true\nnames = ['y']") == Sample(
        name="x", is_on=True, names=["y"]
    )


def test_the_environment_overrides_the_file() -> None:
    text = "[sample]\nname = 'x'\ncount = 4\nnames = ['y']"
    found = chosen(text, COUNT="5", IS_ON="true", RATIO="0.25", KIND="b", NAMES="p, q,")
    expected = Sample(name="x", count=5, is_on=True, ratio=0.25, kind="b", names=["p", "q"])
    assert found == expected


def test_text_from_the_environment_stays_text() -> None:
    for text in ("5", "true", "null", "", " x "):
        assert chosen(NAME=text).name == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sample]\nnmae = 'x'", "nmae"),
        ("[sample]\nname = 5", "name"),
        ("[sample]\ncount = '5'", "count"),
        ("[sample]\ncount = 0", "count"),
        ("[sample]\nis_on = 1", "is_on"),
        ("[sample]\nis_on = 'true'", "is_on"),
        ("[sample]\nkind = 'c'", "kind"),
        ("[sample]\nnames = 'x'", "names"),
        ("sample = 5", "sample"),
        ("[[sample]]\nname = 'x'", "sample"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        chosen(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [("COUNT", "x"), ("COUNT", "10"), ("COUNT", ""), ("IS_ON", "maybe"), ("KIND", "c"),
     ("RATIO", "x")],
)  # fmt: skip
def test_an_environment_that_cannot_be_used_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name.lower()):
        chosen(**{name: value})


def test_an_unknown_setting_is_told_which_there_are() -> None:
    with pytest.raises(ConfigError, match="count, is_on, kind, name, names, ratio"):
        chosen("[sample]\nx = 1")


def test_a_section_that_nobody_reads_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no section \[clud\]; there are cloud, identity"):
        config.known_sections({"clud": {}}, {"cloud", "identity"})


def test_a_file_that_is_not_there_is_an_empty_one(tmp_path: Path) -> None:
    assert config.read(None) == {}
    assert config.read(tmp_path / "none.toml") == {}


@pytest.mark.parametrize("content", [b"[cloud", b"name = \xff", b"a = 1\na = 2", b"\x00"])
def test_a_file_that_is_no_toml_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "onestack.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"onestack\.toml"):
        config.read(path)


def test_all_settings_of_the_cloud_are_few() -> None:
    counts = {name: len(msgspec.structs.fields(kind)) for name, kind in main.SECTIONS.items()}
    assert sum(counts.values()) <= config.SETTINGS_MAX == 60


def test_every_setting_can_be_left_alone() -> None:
    for kind in main.SECTIONS.values():
        assert msgspec.convert(msgspec.to_builtins(kind()), kind) == kind()


@pytest.mark.parametrize(
    ("name", "value"),
    [("LOG_LEVEL", "loud"), ("THREADS", "0"), ("BODY_BYTES", "-1"), ("STREAM_THREADS", "0")],
)
def test_a_cloud_is_not_made_with_settings_that_cannot_be(
    tmp_path: Path, name: str, value: str
) -> None:
    environ = {f"ONESTACK_CLOUD_{name}": value}
    with pytest.raises(ConfigError, match=name.lower()):
        main.read_settings(Cloud(), tmp_path / "onestack.toml", environ)
