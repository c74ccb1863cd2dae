"""The configurations of a set of one's own, after those of a set that ships; it trains nothing.

A configuration is rewritten by the keys that it holds: whoever ships another set in `configs/` adds nothing here.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from base.config import nearest
from base.errors import BadInput
from base.files import atomic_folder
from base.runs import named
from base.shipped import ROOT
from data.own_set import OwnSet
from training import fit_configs
from training.fit_configs import Values

LIKE = ("icons", "emoji-mini", "digits", "avatars")
"""Sets that ship configurations to go by."""
GENERAL = "emoji-mini"
"""Whose configuration is taken where one of the others with latents lacks it."""
OF_LATENTS = ("autoencoder", "clip", "teacher", "decoder", "student", "judge")
"""Methods of a model of latents, in the order of the line."""
LINE = ("autoencoder", "clip", "teacher", "decoder", "student", "judge", "attribute-judge")
"""All methods that a folder of configurations may have a file of, in the order in which they need each other."""

_LEAST, _MOST = 0.001, 1000
"""Times as many steps."""
TRAINED_ON_BUCKETS = ("teacher", "student")
"""Methods that learn pictures of several sizes."""


@dataclass(frozen=True)
class Start:
    """What is already there to start from."""

    base: str | None = None
    """A teacher: a run or a folder. Its autoencoder and its text encoder come with it."""
    vae: str | None = None
    """An autoencoder: a run or a folder."""
    own_text: bool = False
    """Whether the base's denoiser goes on beside a text encoder and a tokenizer of this set's own."""


def write(own: OwnSet, like: str, out: Path, start: Start, longer: float = 1.0) -> list[Path]:
    """Write the configurations into the new folder `out`; returns the files, in the order of the line.

    `longer` multiplies all steps. BadInput: `out` exists, no such set to go by, or a set that cannot be trained so.
    """
    if like not in LIKE:
        raise BadInput(f"--like {like}{nearest(like, LIKE)}")
    if not _LEAST <= longer <= _MOST:  # NaN is out of range too
        raise BadInput(f"--longer {longer}: accepted are {_LEAST} to {_MOST:,}")
    if out.exists():
        raise BadInput(f"{out} exists: delete it, or give another folder with --out")
    written = configurations(own, like, start)
    with atomic_folder(out) as folder:
        for method, values in written.items():
            head = f"# {method} of {own.name}, after configs/{like}: `ippo train {method} {out}/{method}.yaml`\n"
            body = yaml.safe_dump(
                _longer(values, longer), sort_keys=False, allow_unicode=True, width=128, default_flow_style=None
            )
            (folder / f"{method}.yaml").write_text(head + body, encoding="utf-8")
    return [out / f"{method}.yaml" for method in written]


def configurations(own: OwnSet, like: str, start: Start) -> dict[str, Values]:
    """Method → configuration, in the order of the line. BadInput: a set that cannot be trained so."""
    shipped = _shipped(like)
    _check_start(start, like, shipped)
    written = {method: {**_renamed(values, like, own.name), "data": own.data} for method, values in shipped.items()}
    if start.base is not None:
        _go_on(written, own, start)
    elif start.vae is not None:
        written.pop("autoencoder", None)
        vae = _absolute(start.vae)
        written["teacher"]["base"]["vae"] = vae
        written.get("decoder", {}).update(vae=vae)
    if own.sizes:
        _of_several_sizes(written, own, like)
    for values in written.values():
        values.pop("perceptual", None)  # it needs a network of `ippo convert`, which nobody has at first
        fit_configs.fit_captions(values, own)
        if "vision" in values:
            fit_configs.fit_vision(values["vision"], own.side)
    if "autoencoder" in written:
        fit_configs.fit_autoencoder(written["autoencoder"]["vae"], own)
    if isinstance(parts := written["teacher"]["base"], dict):
        fit_configs.fit_teacher(parts, own, written["autoencoder"]["vae"] if "autoencoder" in written else None)
    return written


def _of_several_sizes(written: dict[str, Values], own: OwnSet, like: str) -> None:
    """Only a teacher and its student learn pictures of several sizes. BadInput: the teacher needs what does not."""
    if needed := [method for method in ("autoencoder", "clip") if method in written]:
        raise BadInput(
            f"{own.name} has pictures of {len(own.sizes)} sizes, which teachers and students learn, and {' and '.join(needed)} "
            f"do not; accepted: --base TEACHER (without --own-text), --like digits or avatars, or the set built without "
            "--buckets"
        )
    for method in written.keys() - TRAINED_ON_BUCKETS:
        del written[method]


def _check_start(start: Start, like: str, shipped: Mapping[str, Values]) -> None:
    """BadInput: what is named to start from changes nothing, or does not go with the rest."""
    if start.own_text and start.base is None:
        raise BadInput("--own-text goes with --base; without a base the text encoder is this set's own")
    if start.own_text and "clip" not in shipped:
        raise BadInput(f"--own-text: configurations like {like} have no text encoder; accepted: {GENERAL}, icons")
    if start.vae is not None and start.base is not None:
        raise BadInput("--vae and --base: a base comes with its autoencoder; name one of them")
    if start.vae is not None and "autoencoder" not in shipped:
        raise BadInput(f"--vae: configurations like {like} have no autoencoder; accepted: {GENERAL}, icons")


def _go_on(written: dict[str, Values], own: OwnSet, start: Start) -> None:
    """From a teacher that is there, whose autoencoder stays, in place of one from scratch."""
    base = _absolute(str(start.base))
    folder = Path(named(base))
    own_text = start.own_text and "clip" in written
    for method in ("autoencoder", "decoder", *(() if own_text else ("clip",))):
        written.pop(method, None)
    teacher = written["teacher"]
    teacher["base"] = {"vae": str(folder / "vae"), "clip": teacher["base"]["clip"], "unet": base} if own_text else base
    if not (folder / "model_index.json").is_file():
        raise BadInput(
            f"no teacher {start.base}: accepted is a run, or a folder such as models/pretrained/emoji/teacher"
        )
    if (folder / "vae" / "config.json").is_file():
        fit_configs.check_size(own, folder)


def _shipped(like: str) -> dict[str, Values]:
    """The configurations that ship, in the order of the line. BadInput: none do, in this installation."""
    folders = [ROOT / "configs" / like]
    general = not (folders[0] / "teacher.yaml").is_file()
    if general:
        folders.append(ROOT / "configs" / GENERAL)
    found: dict[str, Values] = {}
    for method in OF_LATENTS if general else LINE:
        file = next((file for folder in folders if (file := folder / f"{method}.yaml").is_file()), None)
        if file is not None:
            found[method] = _renamed(_read(file), file.parent.name, like)
    if "teacher" not in found:
        raise BadInput(
            f"{folders[0]} holds no configurations: ippo new needs the checkout, not the installed package alone"
        )
    return found


def _read(file: Path) -> Values:
    values: Values = yaml.safe_load(file.read_text(encoding="utf-8"))
    return values


def _renamed(values: Any, like: str, name: str) -> Any:
    """The same with the runs and the set of another name."""
    if isinstance(values, dict):
        return {key: _renamed(value, like, name) for key, value in values.items()}
    if isinstance(values, list):
        return [_renamed(value, like, name) for value in values]
    if isinstance(values, str) and (values == like or values.startswith(f"{like}/")):
        return name + values.removeprefix(like)
    return values


def _absolute(name: str) -> str:
    """A folder that ships, from wherever ippo is started; everything else as it is."""
    return str(ROOT / name) if not Path(name).exists() and (ROOT / name).is_dir() else name


def _longer(values: Values, times: float) -> Values:
    """Times as many steps, of warm-up and between validations too."""
    if times == 1:
        return values
    stretched = copy.deepcopy(values)
    for holder, key in ((stretched["loop"], "steps"), (stretched["loop"], "validate_every"), (stretched, "warmup")):
        if isinstance(holder.get(key), int) and holder[key]:
            holder[key] = max(1, round(holder[key] * times))
    return stretched
