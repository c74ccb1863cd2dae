"""What is timed of one model: each stage on each backend, its teacher, and stock diffusers; it knows no clock.

Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens, `A` attributes, `D` width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import diffusers
import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from base.files import sha256
from evaluation.clock import Case
from models import folder, noise
from models.labels import Input
from models.pipeline import Pipeline
from models.task import task_of
from runtime import available, gpu
from runtime import backend as backends
from runtime.bundle import Bundle
from runtime.generator import Generator, Request
from runtime.images import encode
from runtime.manifest import MANIFEST, Manifest
from runtime.provenance import Provenance

STAGES = ("tokenise", "conditioner", "denoiser", "decoder", "encode PNG")
"""The stages of one image, in the order in which they run."""
IMAGE, SPLIT, AS_PNG = "image", "image by split graphs", "image as PNG"
"""Whole images: by the fused graph, by the split graphs, and encoded as well."""
TEACHER, STOCK = "teacher (torch eager)", "diffusers eager"
TIMESTEP = 999


def requests(manifest: Manifest, count: int) -> list[Request]:
    """`count` requests with the seeds 0, 1, …"""
    return [Request(example, seed) for seed, example in enumerate(task_of(manifest).examples(count))]


def body(manifest: Manifest) -> dict[str, Input]:
    """The body of a `POST /generate` for one image."""
    return {**dict.fromkeys(manifest.inputs, task_of(manifest).examples(1)[0]), "seed": 0}


def label(generator: Generator) -> str:
    """The backend's name, and its precision where it chooses one."""
    return f"{generator.backend.name} {getattr(generator.backend, 'precision', '')}".strip()


def student_cases(bundle: Bundle, batches: Sequence[int], names: Sequence[str] | None = None) -> Iterator[Case]:
    """Every stage and the whole image at each batch, on the named backends or on all that are installed."""
    generators = [Generator(bundle, backends.load(name, bundle)) for name in names or _installed()]
    for batch in batches:
        first, examples = generators[0], task_of(bundle.manifest).examples(batch)
        images, origin = first.generate(requests(bundle.manifest, batch)), made_by(first)
        yield Case(STAGES[0], "tokenizers", batch, partial(first.tokenizer.ids, examples))
        yield Case(STAGES[-1], "Pillow", batch, partial(encoded, images, origin))
        for generator in generators:
            yield from stage_cases(generator, batch)
            yield from _image_cases(generator, batch)


def _installed() -> list[str]:
    """What is installed and finds what it runs on here."""
    return available.installed() if gpu.capability() else available.installed("cpu")


def stage_cases(generator: Generator, batch: int) -> Iterator[Case]:
    """Conditioner, denoiser and decoder as graphs of their own."""
    manifest, run, by = generator.bundle.manifest, generator.backend.run, label(generator)
    given = generator.tokenizer.arrays(task_of(manifest).examples(batch))
    sample = noise.gaussian(range(batch), 1, manifest.latent_shape)[0]  # (N, C, h, w)
    step = {"sample": sample, "timestep": np.array(TIMESTEP, np.int64), **generator.conditioning(given)}
    yield Case("conditioner", by, batch, lambda: generator.conditioning(given))
    yield Case("denoiser", by, batch, lambda: run("denoiser", step))
    yield Case("decoder", by, batch, lambda: run("decoder", {"latent_sample": sample}))


def _image_cases(generator: Generator, batch: int) -> Iterator[Case]:
    asked, by = requests(generator.bundle.manifest, batch), label(generator)
    split = Generator(generator.bundle, generator.backend, fused=False)
    yield Case(IMAGE, by, batch, partial(generator.generate, asked))
    yield Case(SPLIT, by, batch, partial(split.generate, asked))
    yield Case(AS_PNG, by, batch, partial(png, generator, batch))


def stock_cases(bundle: Bundle, batches: Sequence[int]) -> Iterator[Case]:
    """The same weights by stock diffusers, in one step without guidance; none where it has no pipeline for them."""
    if not task_of(bundle.manifest).tokenized or len(bundle.manifest.conditioning) > 1:
        return
    stock = in_diffusers(folder.load(bundle.folder))
    for batch in batches:
        yield Case(IMAGE, STOCK, batch, stock_run(stock, task_of(bundle.manifest).examples(batch)))


def stock_run(stock: StableDiffusionPipeline, prompts: Sequence[Input], steps: int = 1, guidance: float = 0.0) -> Any:
    """A call that draws the prompts by diffusers' own pipeline, as float images `(N, H, W, 3)`."""
    start = torch.Generator().manual_seed(0)
    options = {"num_inference_steps": steps, "guidance_scale": guidance, "output_type": "np", "generator": start}
    return lambda: stock(list(prompts), **options).images


def in_diffusers(pipeline: Pipeline, scheduler: Mapping[str, Any] | None = None) -> StableDiffusionPipeline:
    """The same networks, not copied, in stock diffusers, with their own scheduler or another."""
    conditioner, config = cast(Any, pipeline.conditioner), scheduler or pipeline.scheduler
    stock = StableDiffusionPipeline(
        vae=cast(Any, pipeline.autoencoder).vae, text_encoder=conditioner.text_encoder, tokenizer=conditioner.tokenizer,
        unet=pipeline.denoiser, scheduler=getattr(diffusers, config["_class_name"]).from_config(dict(config)),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    stock.set_progress_bar_config(disable=True)
    return stock


def png(generator: Generator, batch: int = 1) -> list[bytes]:
    """Requests → files: what the service does without HTTP."""
    return encoded(generator.generate(requests(generator.bundle.manifest, batch)), made_by(generator))


def encoded(images: Any, origin: Provenance) -> list[bytes]:
    """Images `(N, H, W, 3)` → PNG files with their provenance, as the service answers them."""
    return [encode(pixels, "png", origin) for pixels in images]


def made_by(generator: Generator) -> Provenance:
    """What its files say of where they came from."""
    task = task_of(generator.bundle.manifest)
    return Provenance(task.shown(task.examples(1)[0]), 0, 1, generator.name, sha256(generator.bundle.folder / MANIFEST))


def teacher_cases(
    teacher: Pipeline, steps: int, guidance: float, batches: Sequence[int], threads: Sequence[int]
) -> Iterator[Case]:
    """The whole guided image by the teacher, with each number of torch's threads: its best one counts."""
    for batch in batches:
        for count in threads:
            draw = partial(teacher.generate, task_of(teacher).examples(batch), range(batch), steps, guidance)
            yield Case(IMAGE, f"{TEACHER}, threads {count}", batch, partial(_with_threads, count, draw))


def _with_threads(count: int, run: Callable[[], object]) -> object:
    usual = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        return run()
    finally:
        torch.set_num_threads(usual)
