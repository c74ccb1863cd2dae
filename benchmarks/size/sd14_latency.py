"""Latency at the size of Stable Diffusion 1.4, with random weights in the real classes, beside what else one would use.

python -m benchmarks.size.sd14_latency    # an hour, most of it exports; --small: minutes
python -m benchmarks.size.sd14_latency --scratch FOLDER --only "one step, KL"    # exports stay; 24 GB hold a part of the cases
"""

from __future__ import annotations

import copy
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import isnan, nan
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from base.command import run
from base.errors import BadInput
from benchmarks.child import JsonObject
from benchmarks.latency.cases import STOCK, in_diffusers, label, stage_cases, stock_run
from benchmarks.latency.flops import COMPONENTS, ceiling
from benchmarks.latency.product_rate import product_rates
from benchmarks.size.export_costs import DISK, FIRST_SECONDS, first_image, over_safetensors
from benchmarks.size.random_networks import FULL, SMALL, reduced, students
from benchmarks.size.sd14_peers import ENGINES, INTEROP, OPTIMUM, PROMPT, STOCK_ENGINES, PeerProcess, left_out
from evaluation import machine
from evaluation.clock import Case, Timing, interleaved
from evaluation.pages.sheet import Sheet
from evaluation.result import Bar, Result, bars_result, publish, timing_sheet
from export.write_bundle import ExportOptions, export
from models import folder, stable_diffusion
from models.pipeline import Pipeline
from runtime import backend as backends
from runtime.bundle import open_bundle
from runtime.generator import Generator, Request

STEPS, TIMED, GUIDANCE = 50, 4, 7.5
"""Of the teacher; `TIMED` of its steps are timed, and a longer run is scaled linearly."""
IPPO, COMPILED = "ippo", "diffusers + torch.compile"
Work = Mapping[str, Mapping[str, float]]
"""Networks → what `ceiling` counts."""


@dataclass(frozen=True)
class Setting:
    """What a run is about."""

    scratch: Path
    """Where exports lie: `NAME-student`, what ippo makes of it, and what others make of it."""
    pipelines: Mapping[str, Pipeline]
    """With each decoder, and `reduced`: the tiny UNet and the tiny decoder."""
    compiled: bool
    interop: Path
    left_out: Mapping[str, str]
    """Peer → why it is not there."""

    def saved(self, name: str) -> Path:
        """The diffusers folder of a student, written when it is first asked for."""
        folder_of = self.scratch / f"{name}-student"
        if not folder_of.is_dir():
            folder.save(self.pipelines[name], folder_of)
        return folder_of

    def generator(self, name: str) -> Generator:
        """ippo's bundle of a student, exported when it is first asked for, on the backend that it chooses by itself."""
        out = self.scratch / name
        if not out.is_dir():
            export(str(self.saved(name)), out, ExportOptions(trained=False, inputs=[PROMPT]))
        bundle = open_bundle(out)
        return Generator(bundle, backends.load("auto", bundle))

    def drawing(self, by: str, name: str = "KL") -> PeerProcess:
        """A peer, or stock diffusers, in a process of its own."""
        side = 8 * self.pipelines[name].latent_shape[1]
        return PeerProcess(by, (ENGINES | STOCK_ENGINES)[by], self.saved(name), self.scratch, side, self.interop)


def cases(setting: Setting, stack: ExitStack) -> Iterator[Case]:
    """One step by everybody with each decoder; the guided teacher in diffusers, ippo by its stages."""
    for name, pipeline in setting.pipelines.items():
        stage, generator, stock = f"one step, {name}", setting.generator(name), in_diffusers(pipeline)
        yield Case(stage, f"{IPPO}, {label(generator)}", 1, partial(generator.generate, [Request(PROMPT, 0)]))
        yield Case(stage, STOCK, 1, stock_run(stock, [PROMPT]))
        if setting.compiled:
            yield Case(stage, COMPILED, 1, stock_run(_compiled(pipeline), [PROMPT]))
        if name == "KL":  # the others open no AutoencoderTiny
            for by in (by for by in ENGINES if by not in setting.left_out):
                yield Case(stage, by, 1, stack.enter_context(setting.drawing(by)).draw)
            yield from stage_cases(generator, 1)
            teacher = in_diffusers(pipeline, stable_diffusion.TEACHER_SCHEDULER)
            for steps in (1, TIMED):
                yield Case(f"{steps} guided steps, KL", STOCK, 1, stock_run(teacher, [PROMPT], steps, GUIDANCE))


def _compiled(pipeline: Pipeline) -> Any:
    """The same weights; denoiser and decoder, where the time goes, as `torch.compile` makes them."""
    stock = in_diffusers(pipeline)
    stock.unet, stock.vae = torch.compile(stock.unet), copy.copy(stock.vae)
    stock.vae.decode = torch.compile(stock.vae.decode)
    return stock


def ratios(timings: Sequence[Timing], work: Work, amx: bool = False) -> list[Bar]:
    """What is asked of one step at this size, beside what arithmetic alone explains; what was not timed has no ratio.

    A teacher of `STEPS` steps takes what one step takes, and STEPS − 1 times the slope from one step to `TIMED`. `amx`: the
    machine multiplies bf16 in tiles, so that what is asked of such machines is asked of it.
    """

    def time(stage: str, by: str) -> float:
        return next((one.median for one in timings if one.stage == stage and one.by.startswith(by)), nan)

    kl, tiny, eager = time("one step, KL", IPPO), time("one step, tiny", IPPO), time("one step, KL", STOCK)
    slope = (time(f"{TIMED} guided steps, KL", STOCK) - time("1 guided steps, KL", STOCK)) / (TIMED - 1)
    teacher = time("1 guided steps, KL", STOCK) + (STEPS - 1) * slope
    total = {name: sum(flops[part] for part in COMPONENTS) for name, flops in work.items()}
    decoders, guided = total["KL"] / total["tiny"], work["KL"]["ratio"]
    scaled = f"{STEPS}-step guided teacher, {TIMED} timed and scaled,"
    others = {by: time("one step, KL", by) for by in (COMPILED, *ENGINES)}
    best = min((one for one in others.values() if not isnan(one)), default=nan)
    found: list[tuple[str, float, float, float | None]] = [
        ("diffusers eager ÷ ippo, KL", eager / kl, 1.0, 4.0),
        *((f"{by} ÷ ippo, KL", one / kl, 1.0, 2.0 if by == OPTIMUM else None) for by, one in others.items()),
        ("best of those that compile or export ÷ ippo, KL", best / kl, 1.0, 1.05),
        ("diffusers eager with KL ÷ ippo with the tiny decoder", eager / tiny, decoders, 10.0),
        (f"{scaled} diffusers eager ÷ ippo with the tiny decoder", teacher / tiny, guided * decoders, 200.0),
    ]
    if "reduced" in total:
        what = "diffusers eager with KL ÷ ippo with the reduced UNet and the tiny decoder"
        reduced = eager / time("one step, reduced", IPPO)
        found.append((what, reduced, total["KL"] / total["reduced"], 20.0 if amx else None))
    rows = [(name, value, alone, least) for name, value, alone, least in found if not isnan(value)]
    return [Bar(f"{name} (arithmetic alone: {alone:.3g})", value, least) for name, value, alone, least in rows]


def shares(timings: Sequence[Timing], work: Work, rates: Mapping[str, float], memory: Mapping[str, float]) -> Sheet:
    """A row for every whole picture: how much of what the machine multiplies it is, and the memory of who drew it.

    `rates`: format → TFLOP/s of products alone; `memory`: `STAGE by WHO` → GB. A share of more than 100 % has left work out.
    """
    rows = []
    for one in timings:
        if name := one.stage.removeprefix("one step, ") if one.stage.startswith("one step, ") else "":
            gigaflop = sum(work[name][part] for part in COMPONENTS)
            done = gigaflop / one.median  # GFLOP a millisecond: TFLOP/s
            of_rates = [f"{done / rate:.0%}" for rate in rates.values()]
            peak = memory.get(f"{one.stage} by {one.by}")
            rows.append([f"{one.stage}, {one.by}", f"{done:.3g}", *of_rates, "" if peak is None else f"{peak:.3g}"])
    heads = [f"of {name} products ({rate:.3g} TFLOP/s)" for name, rate in rates.items()]
    return Sheet("Share of what this machine multiplies", ["what", "TFLOP/s", *heads, "peak GB"], rows)


def peaks(setting: Setting, chosen: Sequence[Case], starts: Mapping[str, JsonObject]) -> dict[str, float]:
    """`STAGE by WHO` → the most memory in GB that a process held which drew one picture and nothing else.

    `starts`: networks → what `first_image` says of ippo's bundle.
    """
    memory: dict[str, float] = {}
    for case in chosen:
        name, key = case.stage.removeprefix("one step, "), f"{case.stage} by {case.by}"
        if case.stage != name and case.by in ENGINES | STOCK_ENGINES:
            with setting.drawing(case.by, name) as drawing:
                drawing.draw()
                memory[key] = drawing.peak()
        elif case.stage != name:
            memory[key] = float(starts[name]["peak GB"])
    return memory


def measure(setting: Setting, title: str, rounds: int, only: Sequence[str]) -> Result:
    """Time the cases and everything that the page shows. BadInput: no case is named like `only`."""
    with ExitStack() as stack:
        every = cases(setting, stack)
        chosen = [case for case in every if not only or any(text in f"{case.stage} by {case.by}" for text in only)]
        if not chosen:
            raise BadInput(f"--only: no case has {' or '.join(only)} in its name")
        before = product_rates()
        timings = interleaved(chosen, rounds, 0.0, least=1)
        rates = {name: max(rate, before[name]) for name, rate in product_rates().items()}
    work = {name: ceiling(pipeline, pipeline, STEPS, GUIDANCE) for name, pipeline in setting.pipelines.items()}
    starts = {name: first_image(setting.scratch / name) for name in setting.pipelines}
    memory = peaks(setting, chosen, starts)
    bars = ratios(timings, work, "amx" in str(machine.hardware()["instructions"]))
    for name, start in starts.items():
        bars += [Bar(f"{name}: bundle ÷ its safetensors", over_safetensors(setting.scratch / name), most=DISK)]
        bars += [Bar(f"{name}: load to first image, s", start["seconds"], most=FIRST_SECONDS)]
        bars += [Bar(f"{name}: {figure}", start[figure]) for figure in ("of it checking files", "peak GB")]
    facts = {"left out": "; ".join(f"{by}: {why}" for by, why in setting.left_out.items()) or "nothing"}
    figures = {"GFLOP": work, "timings": [asdict(one) for one in timings], "product rates": rates, "peak GB": memory}
    table = bars_result(title, bars, facts, figures)
    return replace(table, sheets=[*table.sheets, shares(timings, work, rates, memory), timing_sheet("", timings)])


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
    missing = left_out(peer, small)
    for by, why in missing.items():
        print(f"{by} is left out: {why}", file=sys.stderr)
    pipelines = students(SMALL if small else FULL)
    pipelines["reduced"] = reduced(pipelines["tiny"])
    title = f"One step at the size of Stable Diffusion 1.4, {'tiny networks' if small else 'random weights'}"
    with ExitStack() as stack:
        exports = scratch or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        result = measure(Setting(exports, pipelines, compiled, peer, missing), title, rounds, only or ())
    publish(result, (out or machine.results_folder()) / "large")


if __name__ == "__main__":
    run(main)
