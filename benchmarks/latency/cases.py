"""What is timed: the stages of the one-step student on every backend present, and its teacher in torch.

Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens, `D` width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.size.random_networks import in_diffusers
from evaluation.clock import Case
from models import folder, noise
from models.labels import Input
from models.pipeline import Pipeline, predict
from models.schedule import STUDENT_TIMESTEPS
from models.task import task_of
from runtime import available
from runtime import backend as backends
from runtime.bundle import MANIFEST, Bundle, Manifest, sha256
from runtime.generator import Generator, Request
from runtime.images import encode
from runtime.provenance import Provenance
from runtime.signature import conditioner_input

TEACHER, STOCK = "teacher (torch eager)", "diffusers eager"
SPLIT = "image by split graphs"
TIMESTEP = 999


@dataclass(frozen=True)
class Settings:
    """What the teacher is asked for."""

    steps: int
    guidance: float
    batches: tuple[int, ...]


def requests(manifest: Manifest, count: int, seed: int = 0) -> list[Request]:
    return [Request(wanted, seed + place) for place, wanted in enumerate(task_of(manifest).examples(count))]


def body(manifest: Manifest) -> dict[str, Input]:
    """What `POST /generate` is sent."""
    return {**dict.fromkeys(manifest.inputs, task_of(manifest).examples(1)[0]), "seed": 0}


def student_cases(bundle: Bundle, batches: Sequence[int], names: Sequence[str] | None = None) -> Iterator[Case]:
    """Tokenise, encode a PNG, and on each backend the split stages and the whole image by the fused graph."""
    generators = {name: Generator(bundle, backends.load(name, bundle)) for name in names or available.installed()}
    for batch in batches:
        first = next(iter(generators.values()))
        yield Case("tokenise", "tokenizers", batch, _tokenise(first, batch))
        yield Case("encode PNG", "Pillow", batch, _encode(first, batch))
        for generator in generators.values():
            yield from _on_backend(generator, batch)


def label(generator: Generator) -> str:
    """The backend, and its precision where it chooses one."""
    precision = getattr(generator.backend, "precision", "")
    return f"{generator.backend.name} {precision}".strip()


def _on_backend(generator: Generator, batch: int) -> Iterator[Case]:
    manifest, run, by = generator.bundle.manifest, generator.backend.run, label(generator)
    ids = generator.tokenizer.ids(task_of(manifest).examples(batch))  # (N, S) or (N, A)
    sample = noise.gaussian(range(batch), 1, manifest.latent_shape)[0]  # (N, C, h, w)
    asked: dict[str, NDArray[Any]] = {conditioner_input(manifest.task): ids}
    hidden = run("conditioner", asked)  # (N, S, D)
    step = {"sample": sample, "timestep": np.array(TIMESTEP, np.int64), "encoder_hidden_states": hidden}
    yield Case("conditioner", by, batch, lambda: run("conditioner", asked))
    yield Case("denoiser", by, batch, lambda: run("denoiser", step))
    yield Case("decoder", by, batch, lambda: run("decoder", {"latent_sample": sample}))
    yield Case("image", by, batch, lambda: generator.generate(requests(manifest, batch)))
    yield Case(SPLIT, by, batch, lambda: _by_split_graphs(generator, batch))
    yield Case("image as PNG", by, batch, lambda: png(generator, batch))


def _by_split_graphs(generator: Generator, batch: int) -> object:
    """What `generate` does where there is no fused graph."""
    manifest = generator.bundle.manifest
    ids = generator.tokenizer.ids(task_of(manifest).examples(batch))
    drawn = noise.gaussian(range(batch), 1, manifest.latent_shape)
    return generator._split(ids, drawn, STUDENT_TIMESTEPS[1])


def stock_cases(bundle: Bundle, batches: Sequence[int]) -> Iterator[Case]:
    """The same weights by stock diffusers, in one step without guidance; none where it has no pipeline for them."""
    if not task_of(bundle.manifest).tokenized or len(bundle.manifest.conditioning) > 1:
        return
    stock = in_diffusers(folder.load(bundle.folder))
    options = {"num_inference_steps": 1, "guidance_scale": 0.0, "output_type": "np"}
    for batch in batches:
        prompts = task_of(bundle.manifest).examples(batch)
        yield Case("image", STOCK, batch, lambda prompts=prompts: stock(prompts, **options).images)  # type: ignore[misc]


def png(generator: Generator, batch: int = 1) -> list[bytes]:
    """Requests → files: what the service does without HTTP."""
    images = generator.generate(requests(generator.bundle.manifest, batch))
    return [encode(pixels, "png", _provenance(generator)) for pixels in images]


def _tokenise(generator: Generator, batch: int) -> Callable[[], object]:
    wanted = task_of(generator.bundle.manifest).examples(batch)
    return lambda: generator.tokenizer.ids(wanted)


def _encode(generator: Generator, batch: int) -> Callable[[], object]:
    images, provenance = generator.generate(requests(generator.bundle.manifest, batch)), _provenance(generator)
    return lambda: [encode(pixels, "png", provenance) for pixels in images]


def _provenance(generator: Generator) -> Provenance:
    manifest = generator.bundle.manifest
    task = task_of(manifest)
    return Provenance(task.shown(task.examples(1)[0]), 0, 1, generator.name, sha256(generator.bundle.folder / MANIFEST))


def teacher_cases(teacher: Pipeline, settings: Settings, threads: Sequence[int]) -> Iterator[Case]:
    """The whole guided image by the teacher, with each number of torch's threads: its best one counts."""
    for batch in settings.batches:
        for count in threads:
            yield Case("image", f"{TEACHER}, threads {count}", batch, _teacher_run(teacher, settings, batch, count))


def _teacher_run(teacher: Pipeline, settings: Settings, batch: int, threads: int) -> Callable[[], object]:
    def run() -> object:
        usual = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            return teacher.generate(task_of(teacher).examples(batch), range(batch), settings.steps, settings.guidance)
        finally:
            torch.set_num_threads(usual)

    return run


@torch.no_grad()
def gigaflops(pipeline: Pipeline) -> dict[str, float]:
    """GFLOP of each part of one image in one step without guidance, two a multiply-add."""
    ids = pipeline.conditioner.tokenize([pipeline.null_input])
    hidden, sample = pipeline.conditioner(ids), torch.zeros(1, *pipeline.latent_shape)
    return {
        "conditioner GFLOP": _gigaflop(lambda: pipeline.conditioner(ids)),
        "denoiser GFLOP": _gigaflop(lambda: predict(pipeline.denoiser, sample, TIMESTEP, hidden)),
        "decoder GFLOP": _gigaflop(lambda: pipeline.autoencoder.decode(sample)),
    }


@torch.no_grad()
def ceiling(teacher: Pipeline, student: Pipeline, settings: Settings) -> dict[str, float]:
    """The student's `gigaflops`, the whole of its teacher's, and the speed-up that they alone explain."""
    once, sample = gigaflops(teacher), torch.zeros(1, *teacher.latent_shape)
    guided = teacher.denoise(teacher.condition(task_of(teacher).examples(1)), settings.guidance)
    sides = (
        _gigaflop(lambda: guided(sample, TIMESTEP)) / once["denoiser GFLOP"]
    )  # passes of a step: one, two, or one for each attribute
    steps = sides * (once["conditioner GFLOP"] + settings.steps * once["denoiser GFLOP"])
    own = once if student is teacher else gigaflops(student)  # each is a run of every network
    whole = steps + once["decoder GFLOP"]
    return {**own, "teacher GFLOP": whole, "ratio": whole / sum(own.values())}


@torch.no_grad()
def _gigaflop(run: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e9
