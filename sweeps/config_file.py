"""Reads, checks and writes the config of a sweep as TOML.

Free of torch, ray and optuna: a mistake is answered before anything heavy is imported.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from gan_core.config import ConfigError
from gan_core.datasets import check_dataset, untold_metrics
from sweeps.config import SweepConfig, parse_config
from sweeps.domain import as_written
from sweeps.mistakes import SweepConfigError, line_of
from sweeps.overrides import apply_override, parse_override
from sweeps.uri import is_uri, shown

__all__ = ["PRESETS", "check_files_of", "config_of", "load_config", "preset_text", "to_toml"]

PRESETS = ("digits", "mnist")
"""Configs that ship; the first is what `gansweep run` without a config does."""


def load_config(
    path: Path | None,
    overrides: Sequence[str] = (),
    *,
    options: Mapping[str, Any] | None = None,
    check_files: bool = True,
) -> SweepConfig:
    """Reads, changes and checks a config.

    Args:
        path: of the TOML; None takes the first of `PRESETS`.
        overrides: `KEY=VALUE`, see `sweeps.overrides.parse_override`.
        options: values by dotted key that win over all else, from options of the command line.
        check_files: whether to see that the dataset's files are there and that the storage can
            be a directory.

    Raises:
        SweepConfigError: one line that names the place, the key, the value and what is right.
    """
    text = preset_text(PRESETS[0]) if path is None else _read(path)
    source = f"preset {PRESETS[0]}" if path is None else f"{path}"
    return config_of(text, source, overrides, options=options, check_files=check_files)


def config_of(
    text: str,
    source: str,
    overrides: Sequence[str] = (),
    *,
    options: Mapping[str, Any] | None = None,
    check_files: bool = True,
) -> SweepConfig:
    """Like `load_config`, of a text that was read from somewhere.

    Args:
        text: the TOML.
        source: what messages call it.
        overrides: as in `load_config`.
        options: likewise.
        check_files: likewise.

    Raises:
        SweepConfigError: one line that names the place, the key, the value and what is right.
    """
    places: dict[str, str] = {}
    document = _parse_toml(text, source)
    try:
        for override in overrides:
            key, value = parse_override(override)
            places[key] = "--set"
            apply_override(document, key, value)
        for key, value in (options or {}).items():
            places[key] = f"--{key.rpartition('.')[2]}"
            apply_override(document, key, value)
        config = parse_config(document)
        if check_files:
            check_files_of(config)
    except ConfigError as error:
        place = _place(error.key, places, text, source)
        raise SweepConfigError(error.key, error.value, error.right, place) from None
    return config


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        right = "there is no such file; `gansweep init` writes one"
    except IsADirectoryError:
        right = "must be a TOML file, not a directory"
    except UnicodeDecodeError:
        right = "must be a TOML file, in UTF-8"
    except OSError as error:
        right = f"cannot be read: {error.strerror}"
    raise SweepConfigError("CONFIG", str(path), right)


def _parse_toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise SweepConfigError("CONFIG", source, f"is no TOML: {reason}") from None


def check_files_of(config: SweepConfig) -> None:
    """Sees that the dataset's files are there and that the storage can be a directory.

    Raises:
        ConfigError: they are not, or the objective cannot be told of such data.
    """
    _check_storage(config)
    data = config.data
    check_dataset(data.dataset, data.root, data.download, image_size=data.image_size)
    objective = config.search.objective
    conditional = config.model.conditional
    if objective in untold_metrics(data.dataset, root=data.root, conditional=conditional):
        what = f"{'' if conditional else 'unconditional '}GANs on {data.dataset.value}"
        right = f"cannot be told of {what}: frechet_distance always can"
        raise ConfigError("search.objective", objective, right)


def _check_storage(config: SweepConfig) -> None:
    if is_uri(config.storage):
        from analysis.location import locate  # pyarrow, which takes a moment to import

        try:
            locate(config.storage)
        except (ValueError, OSError) as error:
            right = f"cannot be opened: {' '.join(str(error).split())}"
            raise ConfigError("storage", shown(config.storage), right) from None
        return
    storage = Path(config.storage).expanduser().absolute()
    try:
        in_the_way = [p for p in (storage, *storage.parents) if p.exists() and not p.is_dir()]
    except OSError as error:
        right = f"must be a directory: {error.strerror}"
        raise ConfigError("storage", config.storage, right) from None
    if in_the_way:
        right = f"must be a directory: {in_the_way[0]} is a file"
        raise ConfigError("storage", config.storage, right)


def _place(key: str, places: Mapping[str, str], text: str, source: str) -> str | None:
    if key in ("--set", ""):
        return None
    for changed, place in places.items():
        if key == changed or key.startswith(f"{changed}.") or changed.startswith(f"{key}."):
            return place
    line = line_of(text, key)
    return f"{source}:{line}" if line else source


def preset_text(preset: str) -> str:
    """The commented TOML of a config that ships.

    Raises:
        ConfigError: there is no such preset.
    """
    if preset not in PRESETS:
        raise ConfigError("preset", preset, f"must be one of {', '.join(PRESETS)}")
    file = resources.files("sweeps").joinpath("presets", f"{preset}.toml")
    return file.read_text(encoding="utf-8")


def to_toml(config: SweepConfig, comment: str = "") -> str:
    """The resolved config as TOML that `load_config` reads back equal.

    Args:
        config: what to write.
        comment: lines to put at its head, like the versions that a sweep ran with.
    """
    import tomlkit

    document = tomlkit.document()
    for line in comment.splitlines():
        document.add(tomlkit.comment(line))
    plain = config.model_dump(mode="json", exclude={"space": True})
    plain["space"] = {name: as_written(domain) for name, domain in config.space.items()}
    for key in SweepConfig.model_fields:  # in the order of the class
        if plain[key] is not None:
            document.add(key, _toml_item(plain[key]))
    return tomlkit.dumps(document)


def _toml_item(value: Any) -> Any:
    """Sections become tables; what is a table in them, like a range, stays on its line."""
    import tomlkit

    if not isinstance(value, dict):
        return value
    table = tomlkit.table()
    for key, inner in value.items():
        if isinstance(inner, dict):
            line = tomlkit.inline_table()
            line.update(inner)
            table.add(key, line)
        elif inner is not None:
            table.add(key, inner)
    return table
