"""Latency at the size of Stable Diffusion 1.4, with random weights in the real classes, beside what else one would use.

python -m benchmarks.size.sd14_latency    # an hour, most of it two exports; 20 GB of memory; --small: minutes
python -m benchmarks.size.sd14_latency --scratch FOLDER --only "one step"    # exports stay, only these cases
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cache, partial
from math import nan
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from base.errors import BadInput
from benchmarks.command import run
from benchmarks.latency.cases import STOCK, TIMESTEP, Settings, ceiling, label
from benchmarks.size import export_costs as costs
from benchmarks.size import large_page
from benchmarks.size.peer import INTEROP, Peer
from benchmarks.size.random_networks import FULL, SMALL, Size, in_diffusers, students
from evaluation import machine
from evaluation.clock import Case, Timing, interleaved
from export.write_bundle import ExportOptions, export
from models import folder, noise, stable_diffusion
from models.pipeline import Pipeline
from runtime import backend as backends
from runtime.bundle import open_bundle
from runtime.generator import Generator, Request

STEPS, TIMED, GUIDANCE = 50, 4, 7.5
"""Of the teacher; this many of them are timed, and a longer run is scaled linearly."""
COMPILED, OPTIMUM, IPPO = "diffusers + torch.compile", "optimum-onnx", "ippo"
PROMPT = "a cat"
GUIDED, PAIR, DECODE, CONDITION = "denoiser, guided pair", "conditioner, pair", "decoder", "conditioner"
PARTS = ("conditioner", "denoiser", "decoder")
Work = dict[str, dict[str, float]]
"""Decoder → what `ceiling` counts."""


def cases(scratch: Path, pipelines: Mapping[str, Pipeline], compiled: bool, peer: Peer | None) -> Iterator[Case]:
    """One step by everybody with each decoder, and the guided teacher in diffusers and in ippo's best backend."""
    for decoder, pipeline in pipelines.items():
        saved, stage = scratch / f"{decoder}-student", f"one step, {decoder}"
        generator, stock = _generator(pipeline, saved, scratch / decoder), in_diffusers(pipeline)
        yield Case(stage, f"{IPPO}, {label(generator)}", 1, partial(generator.generate, [Request(PROMPT, 0)]))
        yield from _parts(generator, decoder)
        yield Case(stage, STOCK, 1, _draw(stock, 1, 0.0))
        if compiled:
            yield Case(stage, COMPILED, 1, _draw(_compiled(pipeline), 1, 0.0))
        if peer and decoder == "KL":  # optimum exports no AutoencoderTiny
            yield Case(stage, OPTIMUM, 1, _optimum(peer, saved, scratch / f"{decoder}-optimum"))
        if decoder == "KL":
            teacher = in_diffusers(pipeline, stable_diffusion.TEACHER_SCHEDULER)
            for steps in (1, TIMED):
                yield Case(f"{steps} guided steps, KL", STOCK, 1, _draw(teacher, steps, GUIDANCE))


def _generator(pipeline: Pipeline, saved: Path, out: Path) -> Generator:
    if not out.is_dir():
        folder.save(pipeline, saved)
        export(str(saved), out, ExportOptions(trained=False, inputs=[PROMPT]))
    bundle = open_bundle(out)
    return Generator(bundle, backends.load("auto", bundle))


def _parts(generator: Generator, decoder: str) -> Iterator[Case]:
    """The split graphs; with guidance a teacher runs the first two on pairs."""
    run, manifest, by = generator.backend.run, generator.bundle.manifest, f"{IPPO}, {label(generator)}"
    latents = noise.gaussian([0, 1], 1, manifest.latent_shape)[0]  # (2, C, h, w)
    yield Case(f"{DECODE}, {decoder}", by, 1, lambda: run("decoder", {"latent_sample": latents[:1]}))
    if decoder != "KL":
        return
    ids = generator.tokenizer.ids([PROMPT, ""])  # (2, S)
    hidden = run("conditioner", {"input_ids": ids})  # (2, S, D)

    def denoise(count: int) -> Callable[[], object]:
        step = {"sample": latents[:count], "timestep": np.array(TIMESTEP, np.int64)}
        return lambda: run("denoiser", {**step, "encoder_hidden_states": hidden[:count]})

    yield Case(CONDITION, by, 1, lambda: run("conditioner", {"input_ids": ids[:1]}))
    yield Case(PAIR, by, 2, lambda: run("conditioner", {"input_ids": ids}))
    yield Case("denoiser", by, 1, denoise(1))
    yield Case(GUIDED, by, 2, denoise(2))


def _draw(pipeline: Any, steps: int, guidance: float) -> Callable[[], object]:
    start = torch.Generator().manual_seed(0)
    options = {"num_inference_steps": steps, "guidance_scale": guidance, "output_type": "np", "generator": start}
    return lambda: pipeline(PROMPT, **options).images


def _compiled(pipeline: Pipeline) -> Any:
    """The same weights; the denoiser and the decoder, where the time goes, as `torch.compile` makes them."""
    stock = in_diffusers(pipeline)
    stock.unet, stock.vae = torch.compile(stock.unet), copy.copy(stock.vae)
    stock.vae.decode = torch.compile(stock.vae.decode)
    return stock


def _optimum(peer: Peer, saved: Path, out: Path) -> Callable[[], object]:
    """By graphs that optimum exported itself, in float32."""
    place = str(out.resolve())

    @cache
    def opened() -> None:
        if not out.is_dir():
            peer.ask("export", model=str(saved.resolve()), out=place)
        peer.ask("open", folder=place, threads=torch.get_num_threads())

    def draw() -> None:
        opened()
        peer.ask("draw", folder=place, prompt=PROMPT)

    return draw


def ratios(timings: list[Timing], work: Work) -> dict[str, dict[str, float]]:
    """What is asked of one step at this size: measured, what arithmetic alone explains of it, and the bar.

    A teacher of `STEPS` steps takes what one step takes, and STEPS − 1 times the slope from one step to `TIMED`. What was not
    timed has no ratio.
    """
    named = {(found.stage, IPPO if found.by.startswith(IPPO) else found.by): found.median for found in timings}
    time = defaultdict(lambda: nan, named)
    kl, tiny = time["one step, KL", IPPO], time["one step, tiny", IPPO]
    one, some = time["1 guided steps, KL", STOCK], time[f"{TIMED} guided steps, KL", STOCK]
    teacher = one + (STEPS - 1) * (some - one) / (TIMED - 1)
    own = time[PAIR, IPPO] + STEPS * time[GUIDED, IPPO] + time[f"{DECODE}, KL", IPPO]
    total = {name: sum(found[f"{part} GFLOP"] for part in PARTS) for name, found in work.items()}
    tiny_alone, guided = total["KL"] / total["tiny"], work["KL"]["ratio"]
    scaled = f"{STEPS}-step guided teacher, {TIMED} timed and scaled,"
    found = {
        "diffusers eager ÷ ippo, KL": (time["one step, KL", STOCK] / kl, 1.0, 4.0),
        "diffusers + torch.compile ÷ ippo, KL": (time["one step, KL", COMPILED] / kl, 1.0, nan),
        "optimum-onnx ÷ ippo, KL": (time["one step, KL", OPTIMUM] / kl, 1.0, 2.0),
        "diffusers eager with KL ÷ ippo with the tiny decoder": (time["one step, KL", STOCK] / tiny, tiny_alone, 10.0),
        f"{scaled} diffusers eager ÷ ippo with the tiny decoder": (teacher / tiny, guided * tiny_alone, 200.0),
        f"{STEPS}-step guided teacher on ippo's own backend, from its parts, ÷ ippo, KL": (own / kl, guided, nan),
    }
    rows = {name: dict(zip(("measured", "arithmetic", "bar"), row, strict=True)) for name, row in found.items()}
    return {name: {key: value for key, value in row.items() if value == value} for name, row in rows.items()
            if row["measured"] == row["measured"]}  # fmt: skip


def measure(
    size: Size, rounds: int, compiled: bool, peer: Peer | None, scratch: Path, only: Sequence[str] = ()
) -> dict[str, Any]:
    """Everything that the page shows."""
    before = machine.load()
    pipelines, once = students(size), Settings(STEPS, GUIDANCE, (1,))
    every = cases(scratch, pipelines, compiled, peer)
    chosen = [case for case in every if not only or any(text in f"{case.stage} by {case.by}" for text in only)]
    if not chosen:
        raise BadInput(f"--only: no case has {' or '.join(only)} in its name")
    timings = interleaved(chosen, rounds, 0.0, least=1)
    work = {decoder: ceiling(pipeline, pipeline, once) for decoder, pipeline in pipelines.items()}
    fields = ("stage", "by", "batch", "median", "p25", "p75", "p90", "least", "calls")
    return {
        "title": f"One step at {8 * size.latent}x{8 * size.latent}, random weights" + (", tiny networks" * (size == SMALL)),
        "hardware": machine.hardware(), "versions": machine.versions(), "load": [before, machine.load()],
        "ratios": ratios(timings, work), "GFLOP": work,
        "timings": [{name: getattr(found, name) for name in fields} for found in timings],
        "bundles": {decoder: costs.disk(scratch / decoder) for decoder in pipelines},
        "first image": {decoder: costs.first_image(scratch / decoder) for decoder in pipelines},
    }  # fmt: skip


def main(
    out: Annotated[Path | None, typer.Option(help="By default results/MACHINE-DATE beside this file.")] = None,
    small: Annotated[bool, typer.Option("--small", help="Tiny networks of the same classes.")] = False,
    rounds: Annotated[int, typer.Option(help="How often every case has its turn.")] = 3,
    compiled: Annotated[bool, typer.Option("--compile/--no-compile", help="diffusers + torch.compile as well.")] = True,
    peer: Annotated[
        Path, typer.Option(help="Python with optimum-onnx (`make interop`); left out if not there.")
    ] = INTEROP,
    scratch: Annotated[
        Path | None, typer.Option(help="Keeps the exports for another run; by default they go when it ends.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Only cases with this in their name ('STAGE by WHO'); may be repeated.")
    ] = None,
) -> None:
    """Measure one step at the size of Stable Diffusion 1.4; the last line of stdout is one JSON document."""
    results = out or machine.results_folder()
    with ExitStack() as stack:
        kept = scratch or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        optimum = stack.enter_context(Peer(peer)) if peer.exists() else None
        summary = measure(SMALL if small else FULL, rounds, compiled, optimum, kept, only or ())
    summary["left out"] = [] if optimum else [f"{OPTIMUM}: {peer} is not there"]
    results.mkdir(parents=True, exist_ok=True)
    (results / "large.json").write_text(json.dumps(summary, indent=1) + "\n")
    (results / "large.md").write_text(large_page.markdown(summary))
    large_page.plot(summary, results / "large.png")
    print(json.dumps(summary))


if __name__ == "__main__":
    run(main)
