"""`ippo generate`: images of a bundle, with what made them in every file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from base.errors import BadInput
from base.shipped import SHIPPED_BUNDLE
from commands import options

if TYPE_CHECKING:
    from runtime.bundle import Bundle


def generate(
    inputs: options.Inputs = None,
    attribute: options.Attributes = None,
    label: options.Labels = None,
    bundle: options.BundleFolder = SHIPPED_BUNDLE,
    out: Annotated[Path, typer.Option(help="File; with several images a number is added.")] = Path("out.png"),
    seed: options.Seed = 0,
    steps: options.StudentSteps = 1,
    count: options.Count = 1,
    grid: options.Grid = False,
    image: Annotated[Path | None, typer.Option(help="Image to start from; by default noise.")] = None,
    strength: options.Strength = None,
    content: options.Content = None,
    style: Annotated[Path | None, typer.Option(help="Picture in whose style it is drawn.")] = None,
    mix: Annotated[float | None, typer.Option(help="Share of the prompt beside these pictures, 0 to 1.")] = None,
    focus: options.Focus = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT, one that the bundle accepts.")] = None,
    backend: options.BackendName = "auto",
    device: options.Device = "auto",
    reproducible: options.Reproducible = False,
    prompts: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Draw images from a bundle: of prompts, of labels or of attributes."""
    from models.task import task_of
    from runtime import backend as backends
    from runtime import images
    from runtime.generator import Generator, Request
    from runtime.provenance import of_request, told
    from runtime.shapes import parse_size

    if prompts is not None:
        raise BadInput(f"prompts from a file are drawn by ippo bulk {prompts}")
    how_far = _strength(strength, image, content or style)
    every = options.requested(inputs, attribute, label) if inputs or attribute or label else _no_words(content, style)
    images.check_out(out)
    _check_kept(images.written(out, 1 if grid else len(every) * count), (image, content, style))
    opened = _opened(bundle)
    manifest, task = opened.manifest, task_of(opened.manifest)
    options.check_kinds(attribute, label, manifest.inputs, bundle)
    generator = Generator(opened, backends.load(backend, opened, backends.BackendOptions(None, device, reproducible)))
    width_height = parse_size(size) if size else generator.sizes[0]
    generator.check_size(width_height)
    start = images.read(image, width_height) if image else None
    files = {name: file for name, file in (("content", content), ("style", style)) if file is not None}
    numbers = {name: value for name, value in (("mix", mix), ("focus", focus)) if value is not None}
    seen = manifest.picture_size or manifest.sizes[0]
    further = {**{name: images.read(file, seen) for name, file in files.items()}, **numbers}
    accepted = (*manifest.inputs, *task.further_keys())
    if unknown := [name for name in further if name not in accepted]:
        raise BadInput(f"{bundle} does not take {' and '.join(unknown)}; accepted: {', '.join(accepted)}")
    wishes = [task.joined(text, further) for text in every]
    options.tell_cut(generator, wishes)
    said = told({**{name: file.read_bytes() for name, file in files.items()}, **numbers})
    requests = [Request(text, seed + number, start, how_far, said) for text in wishes for number in range(count)]
    pixels = generator.generate(requests, steps, width_height)  # (N, H, W, 3)
    sources = [of_request(task, request, steps, manifest.model_name, opened.hash) for request in requests]
    options.write_pictures(pixels, sources, out, grid, count)


def _no_words(content: Path | None, style: Path | None) -> list[str]:
    """What stands for no words. BadInput: there is no content that could be drawn without them."""
    if style and not content:
        raise BadInput("--style alone says nothing to draw; accepted: a prompt, or --content, beside --style")
    return [""] if content else options.requested(None, None, None)


def _strength(given: float | None, image: Path | None, drawn_from: Path | None) -> float:
    """How far from the image. BadInput: there is none, or pictures to draw from beside it."""
    if given is not None and image is None:
        raise BadInput("--strength says how far from --image: name the image too, or leave it out")
    if image is not None and drawn_from is not None:
        raise BadInput("--image is started from, --content and --style are drawn from: accepted is one of both")
    return 0.5 if given is None else given


def _check_kept(written: Sequence[Path], read: Sequence[Path | None]) -> None:
    """BadInput: one of the files to write is a picture that is read, and would be lost."""
    for file in filter(Path.exists, written):
        if any(one is not None and one.exists() and file.samefile(one) for one in read):
            raise BadInput(f"{file} is a picture to draw from and would be replaced: name another --out")


def _opened(bundle: Path) -> Bundle:
    """The bundle in a folder. BadInput: it writes alone, or is a run or a diffusers folder, from which torch draws."""
    from base.runs import run_folder
    from runtime.bundle import open_bundle
    from runtime.manifest import MANIFEST

    folder = run_folder(str(bundle))
    if not (folder / MANIFEST).is_file() and any(
        (folder / name).is_file() for name in ("config.yaml", "model_index.json")
    ):
        raise BadInput(f"{bundle} is no bundle: ippo sample draws from a run, ippo export makes a bundle of it")
    opened = open_bundle(bundle)
    opened.check_draws()
    return opened
