"""Options that several commands share, and what they mean together; it draws nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from base.errors import BadInput
from base.runs import Take
from runtime import available

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.labels import Input
    from runtime.generator import Generator
    from runtime.provenance import Provenance

Decoder = Annotated[str | None, typer.Option(help="Run of a sharpened decoder to put in the autoencoder's place.")]
Taken = Annotated[
    Take, typer.Option("--take", help="Of a run: its best model by score, or its last one, where loop.last wrote it.")
]
Inputs = Annotated[list[str] | None, typer.Argument(help="Prompts, labels or attributes, one image each.")]
Attributes = Annotated[
    list[str] | None,
    typer.Option(
        "--attribute", help="An attribute of one character, with its weight or without: Zombie, Cap=2.0; repeat it."
    ),
]
Labels = Annotated[list[str] | None, typer.Option("--class", help="Number or name of a class; repeat it.")]
BundleFolder = Annotated[
    Path, typer.Option("--bundle", help="Bundle, or hub:user/name; by default the one that ships.", show_default=False)
]
Seed = Annotated[int, typer.Option(help="Seed of the first image; image i has seed + i.")]
Count = Annotated[int, typer.Option(help="Images of each.", min=1)]
Grid = Annotated[bool, typer.Option("--grid", help="One picture of all images.")]
Strength = Annotated[float | None, typer.Option(help="How far from that image, above 0, up to 1; by default 0.5.")]
Content = Annotated[Path | None, typer.Option(help="Picture whose thing is drawn, of a model that knows pictures.")]
Focus = Annotated[
    float | None,
    typer.Option(help="Of these pictures content (0) or style (1), of a model that sees their patches; 0.5 is both."),
]
StudentSteps = Annotated[int, typer.Option(help="Steps, 1 to 4.")]
BackendName = Annotated[str, typer.Option("--backend", help=f"Who runs the graphs: {available.described()}.")]
Device = Annotated[str, typer.Option(help=f"Where the backend runs: {', '.join(available.devices())}.")]
Reproducible = Annotated[
    bool, typer.Option("--reproducible", help="The same bytes whatever an image's neighbours in the batch are.")
]


def requested(
    inputs: Sequence[str] | None, attributes: Sequence[str] | None, labels: Sequence[str] | None
) -> list[str]:
    """Everything to draw, as text: the arguments, the classes, and one character of all attributes. BadInput: nothing."""
    together = [", ".join(attributes)] if attributes else []
    if not (every := [*(inputs or ()), *(labels or ()), *together]):
        raise BadInput(
            "what is to be drawn? Accepted: prompts or labels, --class, --attribute; of a file: ippo bulk FILE"
        )
    return every


def check_kinds(
    attributes: Sequence[str] | None, labels: Sequence[str] | None, accepted: Sequence[str], model: object
) -> None:
    """BadInput: --attribute or --class of a model that takes something else; `accepted` are the keys of its requests."""
    kinds = {"attributes": attributes, "label": labels}
    if other := [kind for kind, given in kinds.items() if given and kind not in accepted]:
        raise BadInput(
            f"{model} does not take {' and '.join(other)}; accepted: {', '.join(accepted) or 'a seed alone'}"
        )


def write_pictures(
    pixels: NDArray[np.uint8], sources: Sequence[Provenance], out: Path, grid: bool, columns: int
) -> None:
    """Write images `(N, H, W, 3)` with what made them, and print the files; as a `grid` one picture of all.

    The grid has so many columns; where that is one, a row.
    """
    from runtime import images
    from runtime.provenance import together

    if grid:
        pixels, sources = images.tile(pixels, columns if columns > 1 else len(pixels))[None], [together(sources)]
    print(*images.write(pixels, sources, out), sep="\n")


def tell_cut(generator: Generator, inputs: Sequence[Input]) -> None:
    """Say on stderr how many prompts are longer than the model reads, with the first."""
    cut = [(input, count) for input in inputs if (count := generator.dropped(input))]
    if cut:
        input, count = cut[0]
        print(
            f"ippo: {len(cut)} of {len(inputs)} prompts are longer than the {generator.bundle.manifest.tokens} tokens that "
            f"the model reads; of {str(input)!r:.60} the last {count} are not read",
            file=sys.stderr,
        )
