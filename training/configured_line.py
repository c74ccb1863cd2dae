"""The stages that a folder of configurations describes, in the order in which they need each other; it trains nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from base.errors import BadInput
from base.runs import data_folder, new_run_folder

ORDER = (
    "autoencoder",
    "clip",
    "context-clip",
    "teacher",
    "decoder",
    "student",
    "judge",
    "attribute-judge",
    "autoregressive-captioner",
)
"""All methods, in the order of those stages that do not need each other."""


@dataclass(frozen=True)
class ConfiguredStage:
    """One training of the line."""

    method: str
    file: Path
    run: str
    """Name of the run that it makes."""
    names: frozenset[str]
    """Every text in its configuration: the runs that it starts from are among them."""
    data: str = ""
    """Folder or name of its image set."""


def stages(folder: Path) -> list[ConfiguredStage]:
    """The stages of a folder's files, each after those whose runs it names.

    A file is called by its method, as `student.yaml`; a line of several students has none of that name, and its files end in
    their methods, as `image-student.yaml`. BadInput: no student, or stages that need each other.
    """
    files = {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    several = "student" not in files
    methods = {stem: stem if stem in ORDER else _last_word(stem) if several else None for stem in files}
    waiting = [_read(method, files[stem]) for stem, method in methods.items() if method]
    if not any(stage.method == "student" for stage in waiting):
        raise BadInput(f"no {folder / 'student.yaml'}: ippo new writes the configurations of a set")
    waiting.sort(key=lambda stage: ORDER.index(stage.method))
    return list(_ordered(waiting))


def check_sets(line: Sequence[ConfiguredStage]) -> None:
    """BadInput: an image set of the line is neither made nor a folder, nor can it be a name on the Hub."""
    for stage in line:
        if stage.data and "/" not in stage.data and not Path(data_folder(stage.data)).is_dir():
            raise BadInput(
                f"{stage.file}: there is no image set '{stage.data}'; accepted: one that `ippo data` made, or a folder"
            )


def last_run(line: Sequence[ConfiguredStage], method: str) -> str | None:
    """The run of the line's last stage of a method: what it exports. None where it has no such stage."""
    return next((stage.run for stage in reversed(line) if stage.method == method), None)


def _ordered(waiting: list[ConfiguredStage]) -> Iterator[ConfiguredStage]:
    while waiting:
        made = {stage.run for stage in waiting}
        ready = next((stage for stage in waiting if not made & (stage.names - {stage.run})), None)
        if ready is None:
            raise BadInput(f"{', '.join(stage.file.name for stage in waiting)} need each other: none can be first")
        waiting.remove(ready)
        yield ready


def _last_word(stem: str) -> str | None:
    """The method in which a file's name ends."""
    return next((method for method in sorted(ORDER, key=len, reverse=True) if stem.endswith(f"-{method}")), None)


def _read(method: str, file: Path) -> ConfiguredStage:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"{file} is not valid YAML: {str(error).partition(chr(10))[0]}") from None
    if not isinstance(values, dict) or not isinstance(values.get("run"), str):
        raise BadInput(f"{file} names no run; accepted: a configuration, as ippo new writes it")
    new_run_folder(values["run"])
    return ConfiguredStage(method, file, values["run"], frozenset(_texts(values)), str(values.get("data") or ""))


def _texts(values: Any) -> Iterator[str]:
    if isinstance(values, dict):
        for value in values.values():
            yield from _texts(value)
    elif isinstance(values, str):
        yield values
