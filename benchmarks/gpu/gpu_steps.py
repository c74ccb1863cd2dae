"""The steps of `benchmarks.gpu.gpu_check`, each run as a process of its own: a line of JSON on stdout a row of its table.

With `--rehearse` they run on the CPU with tiny networks: on a GPU only the device, the sizes and torch's compiler differ.
"""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from base.errors import BadInput
from base.shipped import ROOT
from benchmarks.child import last_object
from benchmarks.latency.cases import in_diffusers, stock_run
from benchmarks.size import step_memory
from benchmarks.size.random_networks import FULL, SMALL, students
from evaluation.clock import Case, interleaved
from metrics.sharpness import psnr
from models import noise
from models.task import task_of
from runtime import available, backend, eager
from runtime.backend import BackendOptions
from runtime.bundle import open_bundle
from runtime.generator import Generator, Request

PLANS = (("KL", 1), ("tiny", 1), ("tiny", 8), ("KL", 8), ("tiny", 32))
"""(decoder, batch) of one step, the most wanted first: each takes a compilation."""
COMPILE_SECONDS = 75.0
SHIPPED = ROOT / "models" / "pretrained" / "emoji" / "student"


@dataclass(frozen=True)
class GpuBench:
    """How large and how long a step measures, and on what."""

    rehearse: bool
    until: float

    @property
    def device(self) -> str:
        """Where torch computes."""
        return "cpu" if self.rehearse else "cuda"

    def time(self, case: Case, compiles: float = COMPILE_SECONDS) -> None:
        """Time one case and print its row; without time left to compile it, say so."""
        row: dict[str, object] = {"what": f"{case.stage}, {case.by}", "batch": case.batch}
        if not self.rehearse and time.monotonic() + compiles > self.until:
            return say(**row, left_out="no time was left")
        if self.device == "cuda":  # what the case before compiled and held
            torch.compiler.reset()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        case.run()
        row["s until ready"] = time.perf_counter() - began
        (timing,) = interleaved([case], 1, 0.2 if self.rehearse else 4.0, least=5)
        row |= {"median ms": timing.median, "p90 ms": timing.p90, "N": timing.calls}
        row |= {"images/s": 1e3 * case.batch / timing.median}
        return say(**row, **{"peak GB": torch.cuda.max_memory_allocated() / 1e9 if self.device == "cuda" else ""})


def latency(bench: GpuBench) -> None:
    """One step at the size of Stable Diffusion 1.4 with random weights: diffusers in fp16, and torch compiled."""
    pipelines = students(SMALL if bench.rehearse else FULL)
    half = copy.deepcopy(pipelines["KL"])
    if bench.device == "cuda":
        eager.narrow(half, ())
    bench.time(Case("diffusers", "KL", 1, stock_run(in_diffusers(half), ["a cat"])), compiles=0)
    for decoder, batch in PLANS:
        pipeline = pipelines[decoder]
        ids = pipeline.conditioner.tokenize(["a cat"] * batch).numpy()
        step = {"input_ids": ids, "noise": noise.gaussian(range(batch), 1, pipeline.latent_shape)[0]}
        draw = partial(eager.EagerBackend(pipeline).run, "one_step", step)
        bench.time(Case("eager", decoder, batch, draw))


def training(bench: GpuBench) -> None:
    """One ADD step of that size, by the training loop itself: an adapter, and a whole student."""
    with tempfile.TemporaryDirectory() as scratch:
        step_memory.prepare(Path(scratch), bench.rehearse)
        for name in step_memory.STUDENTS:
            say(what=f"ADD step, {name}", **step_memory.child("measure", scratch, name))


def shipped(bench: GpuBench) -> None:
    """The model that ships on every backend that is installed here, beside its teacher."""
    few = ["1", "--rounds", "1", "--steps", "1"] if bench.rehearse else ["1,8", "--rounds", "2"]
    with tempfile.TemporaryDirectory() as scratch:
        options, seconds = ["--no-http", "--out", scratch, "--batches", *few], bench.until - time.monotonic()
        for row in last_object("benchmarks.latency.speedup", *options, seconds=seconds)["timings"]:
            say(what=f"{row['stage']}, {row['by']}", **{key: row[key] for key in ("batch", "median", "p90", "calls")})


def backends(bench: GpuBench) -> None:
    """The model that ships on each backend that runs on this GPU: how far its images are from torch float32's, and how fast."""
    bundle = open_bundle(SHIPPED)
    names = available.installed(bench.device)
    if missing := [
        name for name, info in available.backends().items() if name not in names and bench.device in info.devices
    ]:
        say(what=f"not installed: {', '.join(missing)}")
    prompts = [Request(prompt, seed) for seed, prompt in enumerate(task_of(bundle.manifest).examples(8))]
    expected = Generator(bundle, backend.load("eager", bundle, BackendOptions(device="cpu"))).generate(prompts)
    for name in names:
        row: dict[str, object] = {"what": name}
        try:
            began = time.perf_counter()
            generator = Generator(bundle, backend.load(name, bundle, BackendOptions(device=bench.device)))
            row["psnr"] = psnr(generator.generate(prompts), expected)
            row["s until ready"] = time.perf_counter() - began
            for batch in (1, 8):
                case = Case("image", name, batch, partial(generator.generate, prompts[:batch]))
                (timing,) = interleaved([case], 1, 0.2 if bench.rehearse else 3.0, least=5)
                row |= {f"median ms, batch {batch}": timing.median, f"p90 ms, batch {batch}": timing.p90}
        except BadInput as error:  # of one backend; the others are measured
            row["failed"] = str(error)
        say(**row)


def tests(bench: GpuBench) -> None:
    """The tests marked gpu; rehearsing, the others of the smallest file that has some. SystemExit: one failed."""
    files = sorted(str(file) for file in (ROOT / "tests").rglob("test_*.py") if "mark.gpu" in file.read_text())
    chosen = ["tests/runtime/test_eager.py", "-m", "not gpu"] if bench.rehearse else [*files, "-m", "gpu"]
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", *chosen]
    seconds = bench.until - time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=seconds, cwd=ROOT)
    print(done.stdout, file=sys.stderr)
    for count, word in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout):
        say(what=word, count=int(count))
    for line in re.findall(r"^(?:FAILED|ERROR) .*$", done.stdout, re.MULTILINE):
        say(what=line)
    sys.exit(done.returncode)


def say(**row: object) -> None:
    """Print a row of the step's table."""
    print(json.dumps(row), flush=True)


STEPS = {step.__name__: step for step in (backends, latency, training, shipped, tests)}


def main(step: str, rehearse: Annotated[bool, typer.Option("--rehearse")] = False, seconds: float = 60) -> None:
    """Run one step; after so many seconds no further case is begun. SystemExit: there is no such step."""
    if step not in STEPS:
        sys.exit(f"no step '{step}'; accepted: {', '.join(STEPS)}")
    STEPS[step](GpuBench(rehearse, time.monotonic() + seconds))


if __name__ == "__main__":
    typer.run(main)
