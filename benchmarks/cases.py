"""What is timed: the stages of the one-step student on every backend present, and its teacher in stock diffusers.

Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens, `D` width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.clock import Case
from export import backend as backends
from export.bundle import Bundle
from export.generator import Generator, Request
from models import noise
from serving.images import Provenance, encode

PROMPTS = ("a cat with heart eyes", "red heart on blue", "smiling face on white", "dog face", "birthday cake on pink",
           "green apple", "sun with face", "fox on yellow")  # fmt: skip
TEACHER = "teacher (diffusers, torch eager)"
TIMESTEP = 999


@dataclass(frozen=True)
class Settings:
    """What the teacher is asked for."""

    steps: int
    guidance: float
    batches: tuple[int, ...]


def prompts(count: int) -> list[str]:
    """`count` prompts, going round."""
    return [PROMPTS[place % len(PROMPTS)] for place in range(count)]


def requests(count: int, seed: int = 0) -> list[Request]:
    return [Request(prompt, seed + place) for place, prompt in enumerate(prompts(count))]


def student_cases(bundle: Bundle, batches: Sequence[int], names: Sequence[str] | None = None) -> Iterator[Case]:
    """Tokenise, encode a PNG, and on each backend the split stages and the whole image by the fused graph."""
    generators = {name: Generator(bundle, backends.load(name, bundle)) for name in names or backends.installed()}
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
    ids = generator.tokenizer.ids(prompts(batch))  # (N, S)
    sample = noise.gaussian(range(batch), 1, manifest.latent_shape)[0]  # (N, C, h, w)
    hidden = run("text_encoder", {"input_ids": ids})  # (N, S, D)
    step = {"sample": sample, "timestep": np.array(TIMESTEP, np.int64), "encoder_hidden_states": hidden}
    yield Case("text encoder", by, batch, lambda: run("text_encoder", {"input_ids": ids}))
    yield Case("unet", by, batch, lambda: run("unet", step))
    yield Case("decoder", by, batch, lambda: run("vae_decoder", {"latent_sample": sample}))
    yield Case("image", by, batch, lambda: generator.generate(requests(batch)))
    yield Case("image as PNG", by, batch, lambda: png(generator, batch))


def png(generator: Generator, batch: int = 1) -> list[bytes]:
    """Prompts → files: what the service does without HTTP."""
    images = generator.generate(requests(batch))
    return [encode(pixels, "png", _provenance(generator)) for pixels in images]


def _tokenise(generator: Generator, batch: int) -> Callable[[], object]:
    return lambda: generator.tokenizer.ids(prompts(batch))


def _encode(generator: Generator, batch: int) -> Callable[[], object]:
    images, provenance = generator.generate(requests(batch)), _provenance(generator)
    return lambda: [encode(pixels, "png", provenance) for pixels in images]


def _provenance(generator: Generator) -> Provenance:
    return Provenance(PROMPTS[0], 0, 1, generator.name)


def open_teacher(folder: Path) -> StableDiffusionPipeline:
    """Stock diffusers in float32 with DDIM, eager."""
    diffusers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    teacher = StableDiffusionPipeline.from_pretrained(
        folder, safety_checker=None, requires_safety_checker=False, torch_dtype=torch.float32
    )
    teacher.scheduler = DDIMScheduler.from_config(teacher.scheduler.config)
    teacher.set_progress_bar_config(disable=True)
    return teacher


def teacher_cases(teacher: StableDiffusionPipeline, settings: Settings, threads: Sequence[int]) -> Iterator[Case]:
    """The whole guided image by the teacher, with each number of torch's threads: its best one counts."""
    for batch in settings.batches:
        for count in threads:
            yield Case("image", f"{TEACHER}, threads {count}", batch, _teacher_run(teacher, settings, batch, count))


def _teacher_run(teacher: Any, settings: Settings, batch: int, threads: int) -> Callable[[], object]:
    def run() -> object:
        usual = torch.get_num_threads()
        torch.set_num_threads(threads)
        streams = [torch.Generator().manual_seed(seed) for seed in range(batch)]
        try:
            return teacher(
                prompts(batch), num_inference_steps=settings.steps, guidance_scale=settings.guidance,
                generator=streams, output_type="np",
            ).images  # fmt: skip
        finally:
            torch.set_num_threads(usual)

    return run


def ceiling(teacher: StableDiffusionPipeline, settings: Settings) -> dict[str, float]:
    """Multiply-adds of each module in GFLOP (two a multiply-add), and the speed-up that they alone explain."""
    ids = torch.zeros(1, teacher.tokenizer.model_max_length, dtype=torch.int64)
    hidden = teacher.text_encoder(ids).last_hidden_state
    sample = torch.zeros(1, teacher.unet.config.in_channels, *2 * [teacher.unet.config.sample_size])
    text = _gigaflop(lambda: teacher.text_encoder(ids))
    unet = _gigaflop(lambda: teacher.unet(sample, TIMESTEP, hidden))
    decoder = _gigaflop(lambda: teacher.vae.decode(sample))
    sides = 2 if settings.guidance > 1 else 1
    return {
        "text encoder GFLOP": text,
        "unet GFLOP": unet,
        "decoder GFLOP": decoder,
        "ratio": (sides * text + sides * settings.steps * unet + decoder) / (text + unet + decoder),
    }


@torch.no_grad()
def _gigaflop(run: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e9
