"""Settings: one TOML file, a section for each reader, overridden from the environment."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_origin

import msgspec

SETTINGS_MAX = 60
PREFIX = "ONESTACK_"

S = TypeVar("S", bound=msgspec.Struct)


class ConfigError(Exception):
    """The settings cannot be used; the text says which one and why."""


def read(path: Path | None) -> dict[str, Any]:
    """The file's content, section by section; a file that is not there is an empty one."""
    if path is None or not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def section(kind: type[S], name: str, content: Mapping[str, Any], environ: Mapping[str, str]) -> S:
    """One section as its Struct: defaults, then the file, then ONESTACK_<SECTION>_<SETTING>."""
    known = {field.name for field in msgspec.structs.fields(kind)}
    given = content.get(name, {})
    if not isinstance(given, dict):
        raise ConfigError(f"[{name}] is not a table of settings")
    for unknown in given.keys() - known:
        raise ConfigError(f"[{name}] has no setting {unknown!r}; it has {', '.join(sorted(known))}")
    from_environment = {
        field.name: _split(environ[variable]) if _is_list(field.type) else environ[variable]
        for field in msgspec.structs.fields(kind)
        if (variable := f"{PREFIX}{name}_{field.name}".upper()) in environ
    }
    try:
        loose = msgspec.convert(
            {**msgspec.to_builtins(kind()), **from_environment}, kind, strict=False
        )
        chosen = {key: getattr(loose, key) for key in from_environment}
        return msgspec.convert({**msgspec.to_builtins(kind()), **given, **chosen}, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"[{name}] {error}") from None


def known_sections(content: Mapping[str, Any], names: set[str]) -> None:
    """Refuse a file that holds a section nobody reads."""
    for unknown in content.keys() - names:
        raise ConfigError(f"no section [{unknown}]; there are {', '.join(sorted(names))}")


def _is_list(hint: Any) -> bool:
    return get_origin(hint) is list


def _split(text: str) -> list[str]:
    """The elements of a list as the environment holds it: with commas between them."""
    return [part.strip() for part in text.split(",") if part.strip()]
