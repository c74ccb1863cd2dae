"""Where runs live: names under `IPPO_RUNS`; it knows nothing about what a run holds."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import Literal

from base.errors import BadInput
from base.files import leads_out

Take = Literal["best", "last"]
"""Which model of a run: the best by its score, or that of the last step."""


def runs_root() -> Path:
    """`$IPPO_RUNS`, or `runs/` below the working directory."""
    return Path(os.environ.get("IPPO_RUNS", "runs"))


NO_RUNS = {"data": "image sets", "cache": "what several runs share"}
"""Folders below the root that are no runs."""


def new_run_folder(name: str) -> Path:
    """The folder below the root in which a run of this name is trained; it is not made. BadInput: no name of a run."""
    root, path = runs_root(), PurePath(name)
    if not path.parts or leads_out(name) or "\0" in name:
        raise BadInput(f"run: '{name}' leads out of {root}; accepted: a name such as creatures/teacher")
    if lies := NO_RUNS.get(path.parts[0]):
        raise BadInput(
            f"run: '{name}': {root / path.parts[0]} is for {lies}; accepted: a name such as creatures/teacher"
        )
    folder = root / path
    if blocking := next((one for one in (folder, *folder.parents) if one.exists() and not one.is_dir()), None):
        raise BadInput(f"run: '{name}': {blocking} is a file, where a folder is to be; choose another name, or move it")
    return folder


def run_folder(name: str) -> Path:
    """The folder of a run, given its name under the root or a path of its own."""
    return Path(name) if Path(name).is_dir() and not (runs_root() / name).is_dir() else runs_root() / name


def trained(name: str, part: str = "model") -> Path:
    """What a run trained (`<run>/model`), or a plain folder given by path; refuses a run that has not finished."""
    folder = run_folder(name)
    if (folder / part).is_dir():
        return folder / part
    if folder.is_dir() and not (folder / "config.yaml").is_file():
        return folder
    raise BadInput(f"no trained model in {folder}: train it first, or give the folder of a saved model")


def taken(name: str, take: Take) -> str:
    """The name of the model to take from a run: its best, which the run's own name stands for, or its last.

    BadInput: it has no last one, or is no run.
    """
    if take == "best":
        return name
    if not (run_folder(name) / "last").is_dir():
        raise BadInput(
            f"{run_folder(name)} holds no last model to take; accepted: a run trained with loop.last=true (its command, run "
            "again with it, trains no further and writes it)"
        )
    return f"{name}/last"


def named(name: str) -> str | Path:
    """What a run trained where the name is a run's, else the name itself: a diffusers folder, a Hub name, one file."""
    return trained(name) if run_folder(name).is_dir() else name


def data_folder(name: str) -> str:
    """A data set: one made under `<root>/data`, a folder by its path, or else a Hub name."""
    if not name.strip():
        raise BadInput(
            "an image set without a name; accepted: one that `ippo data` made, a folder, or a name on the Hub"
        )
    made = runs_root() / "data" / name
    return str(made) if made.is_dir() and not name.startswith(".") else name


def new_data_folder(name: str) -> Path:
    """Where a set of this name is made: below `<root>/data`; what is written as a path (`./x`, `a/b`, `~/x`) is one."""
    if not name.strip():
        raise BadInput("the new set has no name; accepted: a name such as creatures, or ./a/folder")
    if not (name.startswith((".", "~")) or os.sep in name):
        return runs_root() / "data" / name
    try:
        return Path(name).expanduser()
    except RuntimeError:  # of whom nobody knows the home
        return Path(name)
