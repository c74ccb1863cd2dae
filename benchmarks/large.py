"""Latency at the size of Stable Diffusion 1.4, with random weights in the real classes: latency does not depend on values.

python -m benchmarks.large --out FOLDER        # half an hour and 20 GB of memory; --small tries it out in a minute
"""

from __future__ import annotations

import json
import string
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from benchmarks import machine
from benchmarks.cases import Settings, ceiling, label
from benchmarks.clock import Case, Timing, interleaved
from export import backend as backends
from export.build import export
from export.bundle import open_bundle
from export.generator import Generator, Request
from models import folder, stable_diffusion
from models.errors import BadInput
from models.pipeline import Pipeline
from models.schedule import student_scheduler

STEPS, TIMED, GUIDANCE = 50, 4, 7.5
"""Of the teacher; this many of them are timed, and a longer run is scaled linearly."""
DECODERS = ("KL", "tiny")


@dataclass(frozen=True)
class Size:
    """Keyword arguments of the real classes, where they are not Stable Diffusion 1.4's."""

    latent: int = 64
    blocks: tuple[int, ...] = (320, 640, 1280, 1280)
    autoencoder: tuple[int, ...] = (128, 256, 512, 512)
    text: tuple[int, int, int] = (768, 12, 12)  # width, layers, heads


FULL, SMALL = Size(), Size(8, (32, 32, 64, 64), (32, 32, 64, 64), (32, 1, 2))


def student(size: Size, decoder: str) -> Pipeline:
    """A one-step student with random weights, decoding by `AutoencoderKL` or `AutoencoderTiny`."""
    torch.manual_seed(0)
    width, layers, heads = size.text
    clip = CLIPTextConfig(
        hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=heads,
        vocab_size=49408, max_position_embeddings=77, bos_token_id=49406, eos_token_id=49407, pad_token_id=49407,
    )  # fmt: skip
    unet = UNet2DConditionModel(sample_size=size.latent, block_out_channels=size.blocks, cross_attention_dim=width)
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    large = {"block_out_channels": size.autoencoder, "layers_per_block": 2, "latent_channels": 4}
    vae = AutoencoderTiny() if decoder == "tiny" else AutoencoderKL(**kinds, **large, sample_size=8 * size.latent)
    networks = (CLIPTextModel(clip).eval(), unet.eval(), vae.eval())
    scheduler = student_scheduler(stable_diffusion.TEACHER_SCHEDULER)
    return stable_diffusion.assemble(_tokenizer(), *networks, scheduler)


def _tokenizer() -> CLIPTokenizer:
    """Letters only, with CLIP's special tokens and length: what a prompt becomes does not change the time it takes."""
    pieces = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    special = {"<|startoftext|>": 49406, "<|endoftext|>": 49407}
    return CLIPTokenizer(vocab={**vocabulary, **special}, merges=[], model_max_length=77)


def cases(scratch: Path, size: Size) -> Iterator[Case]:
    """One step by ippo and by stock diffusers with each decoder, and the guided teacher."""
    for decoder in DECODERS:
        saved, bundle = scratch / f"{decoder}-student", scratch / decoder
        folder.save(student(size, decoder), saved)
        export(str(saved), bundle, trained=False, inputs=["a cat"])
        opened = open_bundle(bundle)
        generator = Generator(opened, backends.load("auto", opened))
        yield Case(f"one step, {decoder}", f"ippo, {label(generator)}", 1, _ippo(generator))
        stock = StableDiffusionPipeline.from_pretrained(saved, torch_dtype=torch.float32)
        stock.set_progress_bar_config(disable=True)
        yield Case(f"one step, {decoder}", "diffusers eager", 1, _stock(stock, 1, 0.0))
        if decoder == "KL":
            teacher = StableDiffusionPipeline(**{**stock.components, "scheduler": _teachers()}, **_BARE)
            teacher.set_progress_bar_config(disable=True)
            for steps in (1, TIMED):
                yield Case(f"{steps} guided steps, KL", "diffusers eager", 1, _stock(teacher, steps, GUIDANCE))


_BARE = {"requires_safety_checker": False}


def _teachers() -> DDIMScheduler:
    return DDIMScheduler.from_config(stable_diffusion.TEACHER_SCHEDULER)


def _ippo(generator: Generator) -> Callable[[], object]:
    return lambda: generator.generate([Request("a cat", 0)])


def _stock(pipeline: Any, steps: int, guidance: float) -> Callable[[], object]:
    noise = torch.Generator().manual_seed(0)
    options = {"num_inference_steps": steps, "guidance_scale": guidance, "output_type": "np", "generator": noise}
    return lambda: pipeline("a cat", **options).images


def ratios(timings: list[Timing], gigaflop: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """What is asked of one step at this size: measured, explained by arithmetic alone, and the bar.

    A teacher of `STEPS` steps takes what one step takes, and STEPS − 1 times the slope from one step to `TIMED`.
    """
    time = {(found.stage, found.by.split(",")[0].split()[0]): found.median for found in timings}
    one, some = time["1 guided steps, KL", "diffusers"], time[f"{TIMED} guided steps, KL", "diffusers"]
    teacher = one + (STEPS - 1) * (some - one) / (TIMED - 1)
    work = {name: sum(found[f"{part} GFLOP"] for part in _PARTS) for name, found in gigaflop.items()}
    return {
        "diffusers eager ÷ ippo, KL": {
            "measured": time["one step, KL", "diffusers"] / time["one step, KL", "ippo"],
            "arithmetic": 1.0,
            "bar": 4.0,
        },
        "diffusers eager with KL ÷ ippo with the tiny decoder": {
            "measured": time["one step, KL", "diffusers"] / time["one step, tiny", "ippo"],
            "arithmetic": work["KL"] / work["tiny"],
            "bar": 10.0,
        },
        f"{STEPS}-step guided teacher ({TIMED} timed, scaled) ÷ ippo with the tiny decoder": {
            "measured": teacher / time["one step, tiny", "ippo"],
            "arithmetic": gigaflop["KL"]["ratio"] * work["KL"] / work["tiny"],
            "bar": 200.0,
        },
    }


_PARTS = ("conditioner", "denoiser", "decoder")


def markdown(summary: dict[str, Any]) -> str:
    """The page a person reads."""
    rows = [
        f"| {name} | {row['measured']:.1f} | {row['arithmetic']:.1f} | {row['bar']:.0f} |"
        for name, row in summary["ratios"].items()
    ]
    times = [
        f"| {t['stage']} | {t['by']} | {t['median']:.0f} | {t['p90']:.0f} | {t['calls']} |" for t in summary["timings"]
    ]
    work = [
        f"| {part} | {summary['GFLOP']['KL'][f'{part} GFLOP']:.0f} | {summary['GFLOP']['tiny'][f'{part} GFLOP']:.0f} |"
        for part in _PARTS
    ]
    heads = ["| ratio | measured | arithmetic alone | bar |\n|---|---:|---:|---:|"]
    heads += ["| what | by | median ms | p90 | N |\n|---|---|---:|---:|---:|", "| GFLOP | KL | tiny |\n|---|---:|---:|"]
    tables = ["\n".join([head, *body]) for head, body in zip(heads, (rows, times, work), strict=True)]
    return "\n\n".join([f"# {summary['title']}", summary["hardware"]["cpu"], *tables]) + "\n"


def main(
    out: Annotated[Path | None, typer.Option(help="By default results/MACHINE-DATE beside this file.")] = None,
    small: Annotated[bool, typer.Option("--small", help="Tiny networks of the same classes.")] = False,
    rounds: Annotated[int, typer.Option(help="How often every case has its turn.")] = 3,
) -> None:
    """Measure one step at the size of Stable Diffusion 1.4; the last line of stdout is one JSON document."""
    size, results = SMALL if small else FULL, out or machine.results_folder()
    settings = Settings(STEPS, GUIDANCE, (1,))
    with tempfile.TemporaryDirectory() as scratch:
        timings = interleaved(list(cases(Path(scratch), size)), rounds, 0.0)
    work = {decoder: ceiling(student(size, decoder), settings) for decoder in DECODERS}
    kept = [{"stage": t.stage, "by": t.by, "median": t.median, "p90": t.p90, "calls": t.calls} for t in timings]
    summary: dict[str, Any] = {
        "title": f"One step at {8 * size.latent}x{8 * size.latent}, random weights" + (", tiny networks" if small else ""),
        "hardware": machine.hardware(), "versions": machine.versions(),
        "ratios": ratios(timings, work), "timings": kept, "GFLOP": work,
    }  # fmt: skip
    results.mkdir(parents=True, exist_ok=True)
    (results / "large.json").write_text(json.dumps(summary, indent=1) + "\n")
    (results / "large.md").write_text(markdown(summary))
    print(json.dumps(summary))


if __name__ == "__main__":
    try:
        typer.run(main)
    except BadInput as error:
        print(f"large: {error}", file=sys.stderr)
        sys.exit(2)
