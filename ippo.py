"""The command line: one table, command → function; thin, and free of torch until a command needs it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

import models.quiet  # noqa: F401
from models.errors import BadInput

app = typer.Typer(
    help="ippo: a folder of captioned images becomes a model that draws in one step, served over HTTP.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Make data sets: render the emoji, or clean a folder of one's own.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Overrides = Annotated[list[str] | None, typer.Argument(help="Dotted overrides, e.g. loop.steps=2000.")]
Decoder = Annotated[str | None, typer.Option(help="Run of a sharpened decoder to put in the autoencoder's place.")]


@data_app.command("emoji")
def data_emoji(
    subset: Annotated[Literal["emoji", "emoji-mini"], typer.Argument(help="All, or 200 chosen ones.")] = "emoji-mini",
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/SUBSET below IPPO_RUNS.")] = None,
    font: Annotated[Path | None, typer.Option(help="Noto Color Emoji; by default Debian's.")] = None,
) -> None:
    """Render Noto Color Emoji as captioned 64x64 images in English and French."""
    from training.data import emoji
    from training.runs import runs_root

    Console(stderr=True).print(*emoji.render(out or runs_root() / "data" / subset, subset, font).tables())


@data_app.command("digits")
def data_digits(
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/digits below IPPO_RUNS.")] = None,
) -> None:
    """Write scikit-learn's real handwritten digits, 8x8 shown at 16x16, with their labels."""
    from training.data.digits import digits
    from training.runs import runs_root

    Console(stderr=True).print(*digits(out or runs_root() / "data" / "digits").tables())


@data_app.command("mnist")
def data_mnist(
    source: Annotated[str, typer.Argument(help="Folder of the IDX files, gz or not, or a name on the Hub.")],
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/mnist below IPPO_RUNS.")] = None,
) -> None:
    """Write MNIST, or any set in its format, padded to 32x32, with its labels."""
    from training.data.mnist import mnist
    from training.runs import runs_root

    Console(stderr=True).print(*mnist(source, out or runs_root() / "data" / "mnist").tables())


@data_app.command("build")
def data_build(
    source: Annotated[Path, typer.Argument(help="Images with captions: sidecar .txt, CSV or metadata.jsonl.")],
    out: Annotated[Path, typer.Argument(help="Folder of the cleaned set; must not exist.")],
    size: Annotated[int, typer.Option(help="Side of the square images in pixels.")] = 512,
    background: Annotated[str, typer.Option(help="Colour behind transparent images.")] = "white",
    fit: Annotated[Literal["crop", "pad"], typer.Option(help="How other shapes become square.")] = "crop",
    stratify: Annotated[str | None, typer.Option(help="Column whose values every split shares alike.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the 80/10/10 split.")] = 0,
) -> None:
    """Clean a folder of captioned images into a Hugging Face imagefolder, and say what was dropped and why."""
    from training.data.build import build

    Console(stderr=True).print(*build(source, out, size, background, fit, seed, stratify).tables())


@app.command()
def train(
    method: Annotated[str, typer.Argument(help="autoencoder, clip, teacher, student, decoder or judge.")],
    config: Annotated[Path, typer.Argument(help="YAML of the run, e.g. configs/emoji-mini/teacher.yaml.")],
    overrides: Overrides = None,
) -> None:
    """Train; the same command again resumes."""
    from training.launch import launch

    figures = launch(method, config, overrides or [])
    Console().print("  ".join(f"{name} {value:.4g}" for name, value in figures.items()))


@app.command()
def save(
    run: Annotated[str, typer.Argument(help="Run, diffusers folder or Hub name.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    decoder: Decoder = None,
) -> None:
    """Save a run's pipeline as a plain diffusers folder in fp16."""
    import torch

    from models import folder
    from training.assemble import opened

    folder.save(opened(run, decoder), out, torch.float16)


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="Student: a run, or a diffusers folder.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    decoder: Decoder = None,
    name: Annotated[str | None, typer.Option(help="What the model is called; by default the folder's name.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a bundle that is there.")] = False,
) -> None:
    """Export a student as a bundle: fp16 ONNX graphs over one copy of the weights, checked against torch."""
    from export import build
    from models import folder
    from training.assemble import opened

    with tempfile.TemporaryDirectory() as scratch:
        student = Path(scratch) / "student"
        folder.save(opened(run, decoder), student)
        bundle = build.export(str(student), out, model_name=name, source=run, overwrite=overwrite)
    Console().print_json(data=bundle.manifest.parity)


@app.command()
def generate(
    inputs: Annotated[list[str], typer.Argument(help="One prompt or label an image.")],
    bundle: Annotated[Path, typer.Option(help="Folder of the bundle; by default the one that ships.")] = Path(
        "models/pretrained/emoji-mini/student"
    ),
    out: Annotated[Path, typer.Option(help="File to write; with several images a number is added.")] = Path("out.png"),
    seed: Annotated[int, typer.Option(help="Seed of the first image; image i has seed + i.")] = 0,
    steps: Annotated[int, typer.Option(help="1 to 4.")] = 1,
    count: Annotated[int, typer.Option(help="Images a prompt or label.")] = 1,
    grid: Annotated[bool, typer.Option(help="One picture of all images.")] = False,
    backend: Annotated[str, typer.Option(help="auto, openvino, ort or eager.")] = "auto",
) -> None:
    """Draw images from a bundle."""
    from export import backend as backends
    from export.bundle import open_bundle
    from export.generator import Generator, Request
    from export.pictures import write

    opened = open_bundle(bundle)
    requests = [Request(wanted, seed + number) for wanted in inputs for number in range(count)]
    images = Generator(opened, backends.load(backend, opened)).generate(requests, steps)
    for file in write(images, out, columns=count if count > 1 else len(inputs), grid=grid):
        print(file)


@app.command()
def serve(
    bundle: Annotated[Path | None, typer.Option(help="Folder of the bundle; by default the one that ships.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; by default 3000.")] = None,
    host: Annotated[str | None, typer.Option(help="Address; by default 127.0.0.1.")] = None,
    backend: Annotated[str | None, typer.Option(help="auto, openvino or ort.")] = None,
) -> None:
    """Serve a bundle over HTTP; every setting is an environment variable IPPO_NAME as well."""
    from serving.config import ServeConfig
    from serving.launch import serve as launch

    given = {"bundle": bundle, "port": port, "host": host, "backend": backend}
    chosen = {f"IPPO_{name.upper()}": str(value) for name, value in given.items() if value is not None}
    launch(ServeConfig.from_environment({**os.environ, **chosen}))


def main() -> None:
    """Run the command line; bad input is one line on stderr and exit code 2."""
    try:
        app()
    except BadInput as error:
        print(f"ippo: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
