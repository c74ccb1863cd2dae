"""`ippo data`: make image sets, each by its own file of `data/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console, Group

from base.errors import BadInput

if TYPE_CHECKING:
    from data.cleaning_report import CleaningReport

app = typer.Typer(help="Make image sets: of your own pictures (build), or those of the examples.", no_args_is_help=True)


def _show(report: CleaningReport) -> None:
    Console(stderr=True).print(Group(*report.tables()))


@app.command("build", epilog="Example: ippo data build photos creatures --size 64 --trim")
def data_build(
    source: Annotated[Path, typer.Argument(help="A recipe such as configs/data/naruto.yaml, or images with captions.")],
    rest: Annotated[
        list[str] | None,
        typer.Argument(
            help="Of images: the new set's name, made in data/NAME below IPPO_RUNS, or ./a/folder. Of a recipe: overrides."
        ),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the square images in pixels; by default 512.")] = None,
    buckets: Annotated[
        str | None,
        typer.Option(
            help="Keep shapes: sizes of about SIZE² pixels, as DIVISOR or DIVISOR,LEAST,GREATEST side, e.g. 64,256,1024."
        ),
    ] = None,
    background: Annotated[str | None, typer.Option(help="Colour behind transparent images; by default white.")] = None,
    fit: Annotated[str | None, typer.Option(help="How other shapes become square: crop, the default, or pad.")] = None,
    stratify: Annotated[str | None, typer.Option(help="Column whose values every split shares alike.")] = None,
    keep: Annotated[
        str | None, typer.Option(help="Column, such as name, text or label, of which training has every value.")
    ] = None,
    trim: Annotated[
        bool, typer.Option("--trim", help="Keep only the square around what is drawn, on a ground of one colour.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of the 80/10/10 split; by default 0.")] = None,
    near: Annotated[
        int | None,
        typer.Option(help="Drop near-duplicates: bits of 192 that may differ, e.g. 12; by default none are."),
    ] = None,
) -> None:
    """Clean captioned images into a Hugging Face imagefolder, and say what was made, what was dropped and why.

    Images and captions (sidecar .txt, CSV, metadata.jsonl, class folders, parquet) come from a folder, or from where a recipe
    says. `classes.json` and `slots.json` beside the splits name classes and attributes for judges and teachers.
    """
    from base.runs import new_data_folder
    from data import build, recipe
    from data.aspect_buckets import BucketsConfig

    options = {"size": size, "background": background, "fit": fit, "stratify": stratify, "keep": keep}
    options |= {"trim": trim or None, "seed": seed, "near": near}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    chosen = BucketsConfig.parsed(buckets) if buckets else None
    if source.suffix in (".yaml", ".yml"):
        overrides = [*(rest or ()), *(f"{name}={value}" for name, value in given.items())]
        overrides += [f"buckets={json.dumps(chosen.model_dump())}"] if chosen else []
        report = recipe.make(recipe.RecipeConfig.load(source, overrides))
    elif len(rest or ()) == 1:
        report = build.build(source, new_data_folder((rest or [""])[0]), buckets=chosen, **given)
    else:
        raise BadInput("a folder of images needs the name or folder of the new set beside it, and nothing else")
    _show(report)


@app.command("emoji", epilog="Example: ippo data emoji emoji-mini")
def data_emoji(
    subset: Annotated[
        Literal["emoji", "emoji-mini"], typer.Argument(help="All of them, or 200 chosen ones.")
    ] = "emoji",
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/SUBSET below IPPO_RUNS.")] = None,
    font: Annotated[Path | None, typer.Option(help="Noto Color Emoji; by default Debian's.")] = None,
) -> None:
    """Render Noto Color Emoji as captioned 64x64 images in English and French."""
    from base.runs import runs_root
    from data import emoji

    _show(emoji.render(out or runs_root() / "data" / subset, subset, font))


@app.command("icons", epilog="Example: ippo data icons --set twemoji --set flat --size 64")
def data_icons(
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/icons below IPPO_RUNS.")] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="An icon set or its style, e.g. twemoji or flat; give several; by default six."),
    ] = None,
    count: Annotated[int | None, typer.Option(help="How many things; by default all.")] = None,
    size: Annotated[int, typer.Option(help="Side of the square images in pixels.")] = 128,
    colours: Annotated[int, typer.Option(help="Coloured grounds of each thing in each style, beside white.")] = 1,
    whole: Annotated[
        bool, typer.Option("--whole", help="Hold out no combination: for a judge of what models compose.")
    ] = False,
    modules: Annotated[Path | None, typer.Option(help="The node_modules with the packages, where elsewhere.")] = None,
) -> None:
    """Render open icon sets as captioned pictures: a thousand things in six styles, on white and on colours.

    The sets come from npm: `npm ci --prefix data/icon_packages` installs them as pinned, 160 MB.
    """
    from base.runs import runs_root
    from data.icons import icons

    folder = out or runs_root() / "data" / "icons"
    report = icons(folder, sets or None, count, modules, size, colours, whole=whole)
    _show(report)


@app.command("digits", epilog="Example: ippo data digits")
def data_digits(
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/digits below IPPO_RUNS.")] = None,
    images: Annotated[
        int | None, typer.Option(min=10, help="So many training images, evenly chosen; by default all.")
    ] = None,
) -> None:
    """Write scikit-learn's real handwritten digits, 8x8 shown at 16x16, with their labels."""
    from base.runs import runs_root
    from data.digits import digits

    _show(digits(out or runs_root() / "data" / "digits", images=images))


@app.command("mnist", epilog="Example: ippo data mnist downloads/mnist")
def data_mnist(
    source: Annotated[
        str, typer.Argument(help="Folder of IDX files, gz or not, or of Kaggle's CSV; or a name on the Hub.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/mnist below IPPO_RUNS.")] = None,
    chosen: Annotated[str | None, typer.Option("--set", help="One of several sets, e.g. emnist-letters.")] = None,
) -> None:
    """Write MNIST, or any set in its format, padded to 32x32, with its labels."""
    from base.runs import runs_root
    from data.mnist import mnist

    _show(mnist(source, out or runs_root() / "data" / "mnist", chosen=chosen))


@app.command("avatars", epilog="Example: ippo data avatars --count 2000")
def data_avatars(
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/avatars below IPPO_RUNS.")] = None,
    count: Annotated[int, typer.Option(help="How many different characters to draw.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
) -> None:
    """Draw pixel-art characters of 24x24 from a grammar, with the attributes of each."""
    from base.runs import runs_root
    from data.avatars import avatars

    _show(avatars(out or runs_root() / "data" / "avatars", count, seed))


@app.command("cryptopunks", epilog="Example: ippo data cryptopunks downloads/punks")
def data_cryptopunks(
    source: Annotated[Path, typer.Argument(help="Folder of the published images and their CSV tables.")],
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/cryptopunks below IPPO_RUNS.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the splits.")] = 0,
) -> None:
    """Write the CryptoPunks, 24x24, with type and accessories."""
    from base.runs import runs_root
    from data.cryptopunks import cryptopunks

    _show(cryptopunks(source, out or runs_root() / "data" / "cryptopunks", seed))
