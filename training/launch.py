"""Start a training by name: method → its file's `Config` and `Method`; it knows no method."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from base.config import Config, nearest
from base.dotted import dotted
from base.errors import BadInput
from base.runs import Take, new_run_folder, run_folder, taken
from training.run import checkpoint, process, sharding, trouble
from training.run.loop import train

if TYPE_CHECKING:
    from training.estimate import Estimate

C = TypeVar("C", bound=Config)

METHODS = {
    "attribute-judge": "attribute_judge",
    "autoencoder": "autoencoder",
    "autoregressive-captioner": "autoregressive_captioner",
    "clip": "clip",
    "context-clip": "context_clip",
    "decoder": "decoder",
    "judge": "judge",
    "student": "student.add",
    "teacher": "teacher",
}
"""`ippo train NAME` → the file in `training/` that holds its `CONFIG` and `METHOD`."""


_FREE = {"steps", "epochs", "log_every", "validate_every", "checkpoint_minutes", "last", "snapshots"}
_FREE |= {"accumulate", "checkpointing"}
"""Keys of `loop` that say how long, how often and in what memory, and not what is learnt."""
STARTS = ("base", "teacher", "start", "student", "vae", "clip")
"""Keys of configurations that name what a run starts from."""
_WRITTEN = "config.yaml"
"""A run's resolved configuration, in its folder."""


def launch(method: str, path: Path, overrides: Iterable[str] = (), take: Take = "best") -> dict[str, float]:
    """Train `method` as `path` says, or go on from the newest checkpoint of its run; returns the last figures.

    `take`: which model of the runs that it starts from; the resolved configuration names it. BadInput: there is none.
    """
    if method not in METHODS:
        raise BadInput(f"no training method '{method}'{nearest(method, METHODS)}")
    module = importlib.import_module(f"training.{METHODS[method]}")
    config = _taking(module.CONFIG.load(path, overrides), take)
    trouble.check_machine(config.loop)
    sharding.check_method(method, module.METHOD.shares_out)
    run = new_run_folder(str(config.run))
    run.mkdir(parents=True, exist_ok=True)
    with process.claimed(run, method):
        _write(config, run)
        return train(module.METHOD(config), config.loop, run)


def _write(config: Config, run: Path) -> None:
    """The resolved configuration into the run's folder; another configuration of a run that has begun is refused."""
    _check_begun(config, run)
    if int(os.environ.get("RANK", "0")) == 0:
        config.write(run / _WRITTEN)


def _check_begun(config: Config, run: Path) -> None:
    """BadInput: the run has begun with another configuration."""
    written = run / _WRITTEN
    started = (run / "metrics.jsonl").is_file() or checkpoint.newest(run) is not None
    if not (started and written.is_file()):
        return
    then, now = dotted(_essence(type(config).load(written))), dotted(_essence(config))
    if changed := [key for key in {**then, **now} if key not in then or key not in now or then[key] != now[key]]:
        before, after = (_said(one, changed[0]) for one in (then, now))
        more = f", and {len(changed) - 1} more" if changed[1:] else ""
        raise BadInput(
            f"{run} was made with another configuration ({changed[0]} was {before:.60} and is {after:.60}{more}): choose "
            "another run name, or delete the folder"
        )


def _said(values: Mapping[str, object], key: str) -> str:
    """What a configuration by dotted keys says at `key`, as a message tells it."""
    if key in values:
        return repr(values[key])
    below = [name.removeprefix(f"{key}.") for name in values if name.startswith(f"{key}.")]
    return f"given, with {', '.join(below)}" if below else "not there"


def rehearse(method: str, path: Path, overrides: Iterable[str] = (), take: Take = "best") -> Estimate:
    """What such a run would need; nothing is trained or written. BadInput: what its start would refuse."""
    from training import estimate, first_look

    if method not in estimate.METHODS:
        raise BadInput(f"--dry-run is for {' and '.join(estimate.METHODS)}, which train a denoiser")
    module = importlib.import_module(f"training.{METHODS[method]}")
    config = module.CONFIG.load(path, overrides)
    sharding.check(config.loop.precision)
    sharding.check_method(method, module.METHOD.shares_out)
    config = _taking(config, take)
    _check_begun(config, new_run_folder(str(config.run)))
    first_look.METHODS[method](config)
    return estimate.METHODS[method](config)


def _taking(config: C, take: Take) -> C:
    """The configuration with `RUN/last` in place of every run that it starts from. BadInput: none of them has a last model."""
    if take == "best":
        return config
    values = {name: getattr(config, name, None) for name in STARTS}
    runs = {name: value for name, value in values.items() if isinstance(value, str) and run_folder(value).is_dir()}
    parts = {name: _taking(value, take) for name, value in values.items() if isinstance(value, Config)}
    if not runs and not parts:
        raise BadInput(f"--take {take}: this run starts from no other run")
    return config.model_copy(update={name: taken(value, take) for name, value in runs.items()} | parts)


def _essence(config: Config) -> dict[str, object]:
    """What must not change between a run and its resumption: a run may be made longer, or take less memory for the same."""
    values = config.model_dump()
    loop: dict[str, object] = values["loop"]
    return {**values, "loop": {key: value for key, value in loop.items() if key not in _FREE}}
