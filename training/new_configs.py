"""The configurations of a set of one's own, after those of a set that ships; it trains nothing.

A configuration is rewritten by the keys that it holds: whoever ships another set in `configs/` adds nothing here.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

import yaml

from base.config import nearest
from base.errors import BadInput
from base.files import atomic_folder
from base.runs import named, run_folder
from base.shipped import ROOT
from data.aspect_buckets import written as in_words
from data.own_set import OwnSet

LIKE = ("icons", "emoji-mini", "digits", "avatars")
"""Sets that ship configurations to go by."""
GENERAL = "emoji-mini"
"""Whose configuration is taken where one of the others with latents lacks it."""
OF_LATENTS = ("autoencoder", "clip", "teacher", "decoder", "student", "judge")
"""Methods of a model of latents, in the order of the line."""
LINE = ("autoencoder", "clip", "teacher", "decoder", "student", "judge", "attribute-judge")
"""All methods that a folder of configurations may have a file of, in the order in which they need each other."""

TRAINED_ON_BUCKETS = ("teacher", "student")
"""Methods that learn pictures of several sizes."""

Values = dict[str, Any]
"""A configuration as YAML holds it."""


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
        _fit_captions(values, own)
        if "vision" in values:
            _fit_vision(values["vision"], own.side)
    if "autoencoder" in written:
        _fit_autoencoder(written["autoencoder"]["vae"], own)
    if isinstance(parts := written["teacher"]["base"], dict):
        _fit_teacher(parts, own, written["autoencoder"]["vae"] if "autoencoder" in written else None)
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
        _check_size(own, folder)


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


def _fit_captions(values: Values, own: OwnSet) -> None:
    """Caption columns are the set's; those of labels and attributes stay."""
    if not any(column.startswith("text") for column in values.get("captions", ())):
        return
    if not own.captions:
        raise BadInput(f"{own.name} has no column 'text' of captions in every row")
    values["captions"] = list(own.captions)


def _fit_vision(vision: Values, side: int) -> None:
    """As many patches as before, or as near to it as the side allows."""
    patches = vision["image_size"] // vision["patch_size"]
    divisors = [size for size in range(1, side + 1) if side % size == 0]
    vision |= {"image_size": side, "patch_size": min(divisors, key=lambda size: abs(side // size - patches))}


def _fit_autoencoder(vae: Values, own: OwnSet) -> None:
    patch, factor = _factors(vae)
    _check_divisible(own, factor, vae["sample_size"] * patch)
    vae["sample_size"] = own.side // patch


def _factors(vae: Mapping[str, Any]) -> tuple[int, int]:
    """Side of the blocks of pixels that an autoencoder takes as channels, and pixels a latent in each direction."""
    patch = isqrt(int(vae.get("in_channels", 3)) // 3)
    return patch, patch * 2 ** (len(vae["down_block_types"]) - 1)


def _fit_teacher(base: Values, own: OwnSet, vae: Mapping[str, Any] | None) -> None:
    """The parts of a teacher from scratch: classes or slots, colours, the denoiser's side and channels."""
    if "classes" in base:
        if not own.classes:
            raise BadInput(f"{own.name} has no column 'label' of classes")
        numbered = own.classes == tuple(str(number) for number in range(len(own.classes)))
        base["classes"] = len(own.classes) if numbered else list(own.classes)
    if "attributes" in base:
        base["attributes"] = _checked_slots(own)
    if vae is None and "vae" in base:
        vae = _vae_config(base["vae"])
    if vae is None:
        base |= {"channels": 1 if own.grey else 3, "scale": own.scale}
        _fit_denoiser(base["unet"], own, own.scale)
        return
    _, factor = _factors(vae)
    for part in base.values():
        if isinstance(part, dict) and "sample_size" in part:
            part |= {"in_channels": vae["latent_channels"], "out_channels": vae["latent_channels"]}
            _fit_denoiser(part, own, factor)


def _fit_denoiser(unet: Values, own: OwnSet, unit: int) -> None:
    """The side, in `unit` pixels, and further levels on top until the lowest is at most twice as large as it was."""
    side, widths = own.side // unit, unet.get("block_out_channels", [0])
    lowest = unet["sample_size"] >> (len(widths) - 1)
    if "down_block_types" in unet:
        while side >> (len(widths) - 1) > 2 * lowest:
            widths = [widths[0], *widths]
            unet["down_block_types"] = ["DownBlock2D", *unet["down_block_types"]]
            unet["up_block_types"] = [*unet["up_block_types"], "UpBlock2D"]
        unet["block_out_channels"] = widths
    multiple = 1 << (len(widths) - 1)
    _check_divisible(own, unit * multiple, unit * unet["sample_size"])
    unet["sample_size"] = max(multiple, side // multiple * multiple)


def _checked_slots(own: OwnSet) -> dict[str, list[str]]:
    if not own.slots:
        raise BadInput(
            f"{own.name} has no slots.json: `ippo data build` writes it of a column 'attributes' that every picture fills"
        )
    if odd := [name for names in own.slots.values() for name in names if set(name) & set(",=")]:
        raise BadInput(
            f"{own.name}: attribute '{odd[0]}' has a comma or an equals sign: rename it, and build the set anew"
        )
    return copy.deepcopy(own.slots)


def _check_divisible(own: OwnSet, factor: int, usual: int) -> None:
    """BadInput: the networks halve the side more often than it can be; `usual` is the side of the set to go by."""
    if odd := [size for size in own.sizes if size[0] % factor or size[1] % factor]:
        raise BadInput(
            f"{own.name}: sides of {in_words(odd[0])} are no multiples of {factor}: build the set with --buckets {factor} or a "
            "multiple of it"
        )
    if own.side % factor and not own.sizes:
        fitting = max(usual, -(-own.side // factor) * factor)
        raise BadInput(
            f"{own.name}: a side of {own.side} pixels is no multiple of {factor}: build the set with --size {fitting}"
        )


def _check_size(own: OwnSet, base: Path) -> None:
    """BadInput: the base draws pictures of another size; of other networks than Stable Diffusion's training says it."""
    if not (base / "unet" / "config.json").is_file():
        return
    unet = json.loads((base / "unet" / "config.json").read_text(encoding="utf-8"))
    factor = _factors(_vae_config(str(base / "vae")))[1]
    side = int(unet["sample_size"]) * factor
    if own.sizes:
        _check_divisible(own, factor << (len(unet["block_out_channels"]) - 1), side)
    elif side != own.side:
        raise BadInput(
            f"{base} draws {side}x{side}, {own.name} has {own.side}x{own.side}: build the set with --size {side}"
        )


def _vae_config(name: str) -> Values:
    """The configuration of an autoencoder that is there. BadInput: there is none."""
    folders = [Path(name), run_folder(name) / "model"]
    file = next((folder / "config.json" for folder in folders if (folder / "config.json").is_file()), None)
    if file is None:
        raise BadInput(
            f"no autoencoder {name}: accepted is a run, or a folder such as models/pretrained/emoji/teacher/vae"
        )
    values: Values = json.loads(file.read_text(encoding="utf-8"))
    if "down_block_types" not in values:
        raise BadInput(f"autoencoder {name} is of {values.get('_class_name')}; accepted: an AutoencoderKL")
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
