"""Latency at the size of Stable Diffusion 1.4, with random weights in the real classes, beside what else one would use.

python -m benchmarks.size.sd14_latency    # an hour, most of it two exports; 20 GB of memory; --small: minutes
python -m benchmarks.size.sd14_latency --scratch FOLDER --only "one step"    # exports stay, only these cases
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import cache, partial
from math import isnan, nan
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from base.command import run
from base.errors import BadInput
from benchmarks.child import Peer
from benchmarks.latency.cases import STOCK, in_diffusers, label, stage_cases, stock_run
from benchmarks.latency.flops import COMPONENTS, ceiling
from benchmarks.size.export_costs import DISK, FIRST_SECONDS, first_image, over_safetensors
from benchmarks.size.random_networks import FULL, SMALL, students
from evaluation import machine
from evaluation.clock import Case, Timing, interleaved
from evaluation.result import Bar, Result, bars_result, publish, timing_sheet
from export.write_bundle import ExportOptions, export
from models import folder, stable_diffusion
from models.pipeline import Pipeline
from runtime import backend as backends
from runtime.bundle import open_bundle
from runtime.generator import Generator, Request

STEPS, TIMED, GUIDANCE = 50, 4, 7.5
"""Of the teacher; `TIMED` of its steps are timed, and a longer run is scaled linearly."""
COMPILED, OPTIMUM, IPPO = "diffusers + torch.compile", "optimum-onnx", "ippo"
PROMPT = "a cat"
INTEROP, OPTIMUM_PEER = Path(".venv-interop/bin/python"), Path(__file__).with_name("optimum_peer.py")
"""The Python that `make interop` installs, and what it runs."""
Work = Mapping[str, Mapping[str, float]]
"""Decoder → what `ceiling` counts."""


def cases(scratch: Path, pipelines: Mapping[str, Pipeline], compiled: bool, peer: Peer | None) -> Iterator[Case]:
    """One step by everybody with each decoder; the guided teacher in diffusers, ippo by its stages."""
    for decoder, pipeline in pipelines.items():
        saved, stage = scratch / f"{decoder}-student", f"one step, {decoder}"
        generator, stock = _generator(pipeline, saved, scratch / decoder), in_diffusers(pipeline)
        yield Case(stage, f"{IPPO}, {label(generator)}", 1, partial(generator.generate, [Request(PROMPT, 0)]))
        yield Case(stage, STOCK, 1, stock_run(stock, [PROMPT]))
        if compiled:
            yield Case(stage, COMPILED, 1, stock_run(_compiled(pipeline), [PROMPT]))
        if decoder == "KL":
            if peer:  # optimum exports no AutoencoderTiny
                yield Case(stage, OPTIMUM, 1, _optimum(peer, saved, scratch / f"{decoder}-optimum"))
            yield from stage_cases(generator, 1)
            teacher = in_diffusers(pipeline, stable_diffusion.TEACHER_SCHEDULER)
            for steps in (1, TIMED):
                yield Case(f"{steps} guided steps, KL", STOCK, 1, stock_run(teacher, [PROMPT], steps, GUIDANCE))


def _generator(pipeline: Pipeline, saved: Path, out: Path) -> Generator:
    if not out.is_dir():
        folder.save(pipeline, saved)
        export(str(saved), out, ExportOptions(trained=False, inputs=[PROMPT]))
    bundle = open_bundle(out)
    return Generator(bundle, backends.load("auto", bundle))


def _compiled(pipeline: Pipeline) -> Any:
    """The same weights; denoiser and decoder, where the time goes, as `torch.compile` makes them."""
    stock = in_diffusers(pipeline)
    stock.unet, stock.vae = torch.compile(stock.unet), copy.copy(stock.vae)
    stock.vae.decode = torch.compile(stock.vae.decode)
    return stock


def _optimum(peer: Peer, saved: Path, out: Path) -> Callable[[], object]:
    """A call that draws by graphs that optimum exported itself, in float32."""
    graphs = str(out.resolve())

    @cache
    def opened() -> None:
        if not out.is_dir():
            peer.ask("export", model=str(saved.resolve()), out=graphs)
        peer.ask("open", folder=graphs, threads=torch.get_num_threads())

    def draw() -> None:
        opened()
        peer.ask("draw", folder=graphs, prompt=PROMPT)

    return draw


def ratios(timings: Sequence[Timing], work: Work) -> list[Bar]:
    """What is asked of one step at this size, beside what arithmetic alone explains; what was not timed has no ratio.

    A teacher of `STEPS` steps takes what one step takes, and STEPS − 1 times the slope from one step to `TIMED`.
    """

    def time(stage: str, by: str) -> float:
        return next((one.median for one in timings if one.stage == stage and one.by.startswith(by)), nan)

    kl, tiny, eager = time("one step, KL", IPPO), time("one step, tiny", IPPO), time("one step, KL", STOCK)
    slope = (time(f"{TIMED} guided steps, KL", STOCK) - time("1 guided steps, KL", STOCK)) / (TIMED - 1)
    teacher = time("1 guided steps, KL", STOCK) + (STEPS - 1) * slope
    total = {decoder: sum(flops[name] for name in COMPONENTS) for decoder, flops in work.items()}
    decoders, guided = total["KL"] / total["tiny"], work["KL"]["ratio"]
    scaled = f"{STEPS}-step guided teacher, {TIMED} timed and scaled,"
    found = [
        ("diffusers eager ÷ ippo, KL", eager / kl, 1.0, 4.0),
        ("diffusers + torch.compile ÷ ippo, KL", time("one step, KL", COMPILED) / kl, 1.0, None),
        ("optimum-onnx ÷ ippo, KL", time("one step, KL", OPTIMUM) / kl, 1.0, 2.0),
        ("diffusers eager with KL ÷ ippo with the tiny decoder", eager / tiny, decoders, 10.0),
        (f"{scaled} diffusers eager ÷ ippo with the tiny decoder", teacher / tiny, guided * decoders, 200.0),
    ]
    rows = [(name, value, alone, least) for name, value, alone, least in found if not isnan(value)]
    return [Bar(f"{name} (arithmetic alone: {alone:.3g})", value, least) for name, value, alone, least in rows]


def measure(small: bool, rounds: int, compiled: bool, peer: Peer | None, scratch: Path, only: Sequence[str]) -> Result:
    """Time the cases and everything that the page shows. BadInput: no case is named like `only`."""
    pipelines = students(SMALL if small else FULL)
    every = cases(scratch, pipelines, compiled, peer)
    chosen = [case for case in every if not only or any(text in f"{case.stage} by {case.by}" for text in only)]
    if not chosen:
        raise BadInput(f"--only: no case has {' or '.join(only)} in its name")
    timings = interleaved(chosen, rounds, 0.0, least=1)
    work = {decoder: ceiling(pipeline, pipeline, STEPS, GUIDANCE) for decoder, pipeline in pipelines.items()}
    bars = ratios(timings, work)
    for decoder in pipelines:
        start = first_image(scratch / decoder)
        bars += [Bar(f"{decoder}: bundle ÷ its safetensors", over_safetensors(scratch / decoder), most=DISK)]
        bars += [Bar(f"{decoder}: load to first image, s", start["seconds"], most=FIRST_SECONDS)]
        bars += [Bar(f"{decoder}: {name}", start[name]) for name in ("of it checking files", "peak GB")]
    facts = {"left out": "nothing" if peer else OPTIMUM}
    title = f"One step at the size of Stable Diffusion 1.4, {'tiny networks' if small else 'random weights'}"
    table = bars_result(title, bars, facts, {"GFLOP": work, "timings": [asdict(one) for one in timings]})
    return replace(table, sheets=[*table.sheets, timing_sheet("", timings)])


def main(
    out: Annotated[Path | None, typer.Option(help="Folder, by default benchmarks/results/MACHINE-DATE.")] = None,
    small: Annotated[bool, typer.Option("--small", help="Tiny networks of the same classes.")] = False,
    rounds: Annotated[int, typer.Option(help="How often every case has its turn.")] = 3,
    compiled: Annotated[bool, typer.Option("--compile/--no-compile", help="diffusers + torch.compile as well.")] = True,
    peer: Annotated[Path, typer.Option(help="Python with optimum-onnx (`make interop`).")] = INTEROP,
    scratch: Annotated[Path | None, typer.Option(help="Keeps the exports for another run.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only cases with this in 'STAGE by WHO'; repeatable.")] = None,
) -> None:
    """Measure one step at the size of Stable Diffusion 1.4; the last line of stdout is one JSON document."""
    with ExitStack() as stack:
        exports = scratch or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        optimum = stack.enter_context(Peer(peer, OPTIMUM_PEER)) if peer.exists() else None
        result = measure(small, rounds, compiled, optimum, exports, only or ())
    publish(result, (out or machine.results_folder()) / "large")


if __name__ == "__main__":
    run(main)
