"""The steps of `benchmarks.gpu.gpu_check`, each run as a process of its own; a finding is a line of JSON on stdout.

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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from benchmarks.latency.cases import gigaflops
from benchmarks.size.random_networks import FULL, SMALL, in_diffusers, student, students
from evaluation import machine as machines
from export.write_bundle import ExportOptions, export
from models import folder, noise
from models.pipeline import Pipeline
from runtime import backend as backends
from runtime import eager, networks
from runtime.backend import BackendOptions
from runtime.eager import EagerBackend
from runtime.generator import Generator, Request
from runtime.shapes import Bucket

app = typer.Typer(add_completion=False)
Rehearse = Annotated[bool, typer.Option("--rehearse")]
Seconds = Annotated[float, typer.Option(help="After which no further case is begun.")]
PACKAGES = {"eager": "torch", "ort": "onnxruntime", "trt": "tensorrt", "diffusers": "diffusers"}
PLANS = (("KL", 1), ("tiny", 1), ("tiny", 8), ("KL", 8), ("tiny", 32))
"""(decoder, batch) of one step, the most wanted first: each takes a compilation."""
COMPILATION = 75.0
"""Seconds that a plan may take until it runs."""
TESTS = Path("tests")


@app.command()
def machine(rehearse: Rehearse = False, seconds: Seconds = 60) -> None:
    """What this machine is and what its memory and its matrix units really give."""
    say({"machine": machines.hardware(), "versions": machines.versions() | {"cuda": str(torch.version.cuda)}})
    there = [name for name, package in PACKAGES.items() if getattr(find_spec(package), "origin", None)]
    say({"missing": [name for name in PACKAGES if name not in there] or "nothing"})
    say({"TFLOP/s of a large bf16 product": peak(512 if rehearse else 8192)})
    say({"GB/s of a copy on the device, read and written": copied(1 << (20 if rehearse else 30))})


@app.command()
def latency(rehearse: Rehearse = False, seconds: Seconds = 270) -> None:
    """One step at the size of Stable Diffusion 1.4 with random weights: diffusers, torch, and torch compiled."""
    until, timing = time.monotonic() + seconds, Measured(peak(512 if rehearse else 8192), 0.2 if rehearse else 4.0)
    pipelines = students(SMALL if rehearse else FULL)
    work = {decoder: sum(gigaflops(pipeline).values()) for decoder, pipeline in pipelines.items()}
    say({"GFLOP of one image": work})
    for what, run in stock(pipelines["KL"]):
        say({"what": f"{what}, KL", "batch": 1, **timing.of(run, work["KL"], 1)})
    for decoder, batch in PLANS:
        case = {"what": f"eager, {decoder}", "batch": batch}
        if time.monotonic() + (0 if rehearse else COMPILATION) > until:
            say({**case, "left out": "no time was left"})
            continue
        runner, told = EagerBackend(pipelines[decoder]), asked(pipelines[decoder], batch)
        say({**case, **timing.of(partial(runner.run, "one_step", told), work[decoder], batch)})


@app.command()
def runtimes(rehearse: Rehearse = False, seconds: Seconds = 150) -> None:
    """The same step by ONNX Runtime and TensorRT, from a bundle, where they are there."""
    wanted = ["ort"] if rehearse else list(on_gpu())
    if not wanted:
        say({"missing": "neither an ONNX Runtime with CUDA nor TensorRT is there"})
        return
    timing = Measured(peak(512 if rehearse else 8192), 0.2 if rehearse else 4.0)
    for decoder, pipeline in students(SMALL if rehearse else FULL).items():
        with tempfile.TemporaryDirectory() as scratch:
            folder.save(pipeline, Path(scratch) / "student")
            options = ExportOptions(
                trained=False, inputs=["a cat"], buckets=[Bucket(1, *networks.image_size(pipeline))]
            )
            bundle = export(f"{scratch}/student", Path(scratch) / "bundle", options)
            work = sum(gigaflops(pipeline).values())
            for name in wanted:
                drawn = Generator(
                    bundle, backends.load(name, bundle, BackendOptions(device="auto" if rehearse else "cuda"))
                )
                found = timing.of(partial(drawn.generate, [Request("a cat", 0)]), work, 1)
                say({"what": f"{name}, {decoder}", "batch": 1, **found})


@app.command()
def tests(rehearse: Rehearse = False, seconds: Seconds = 150) -> None:
    """The tests marked gpu; rehearsing, the others of the smallest file that has some."""
    files = sorted(str(file) for file in TESTS.rglob("test_*.py") if "mark.gpu" in file.read_text())
    chosen = ["tests/runtime/test_eager.py", "-m", "not gpu"] if rehearse else [*files, "-m", "gpu"]
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", *chosen]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=seconds)
    print(done.stdout, file=sys.stderr)
    counted = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)}
    say({"tests": counted, "failures": re.findall(r"^(?:FAILED|ERROR) .*$", done.stdout, re.MULTILINE) or "none"})
    sys.exit(done.returncode)


@app.command()
def training(rehearse: Rehearse = False, seconds: Seconds = 110) -> None:
    """Steps of the training loop on a denoiser of that size, in bf16 with AdamW and a moving average."""
    from benchmarks.gpu.gpu_training import steps

    until, size, roof = time.monotonic() + seconds, SMALL if rehearse else FULL, peak(512 if rehearse else 8192)
    work = gigaflops(student(size, "tiny"))["denoiser GFLOP"]
    for batch in (2,) if rehearse else (4, 16):
        case = {"what": "training, AdamW, EMA, bf16", "batch": batch}
        if time.monotonic() + (0 if rehearse else 30) > until:
            say({**case, "left out": "no time was left"})
            continue
        _forget()
        times, joules = steps(size, batch, 5 if rehearse else 12)
        rate = 1 / float(np.median(times))
        share = 3 * work * batch * rate / 1e3 / roof  # forward, and twice that backward
        found = {"steps/s": rate, "images/s": rate * batch, "N": len(times), "peak GB": gigabytes()}
        say({**case, **found, "J/image": joules / batch or "", "share of bf16 peak": share})


@dataclass(frozen=True)
class Measured:
    """How everything is timed."""

    roof: float
    """TFLOP/s of a large product."""
    seconds: float
    """For one case."""

    def of(self, run: Callable[[], object], gigaflop: float, batch: int) -> dict[str, float | int | str]:
        """Run it until it is compiled, then for some seconds; `gigaflop` is that of one image."""
        _forget()
        began = time.perf_counter()
        for _ in range(3):
            run()
        ready, times, before = time.perf_counter() - began, list[float](), energy()
        began = time.perf_counter()
        while len(times) < 5 or time.perf_counter() - began < self.seconds:
            start = time.perf_counter()
            run()
            times.append(1e3 * (time.perf_counter() - start))
        joules, (p50, p90, p99) = energy() - before, np.percentile(times, [50, 90, 99]).tolist()
        rate = 1e3 * batch / p50
        return {
            "p50 ms": p50, "p90 ms": p90, "p99 ms": p99, "N": len(times), "images/s": rate,
            "J/image": joules / (len(times) * batch) or "", "share of bf16 peak": gigaflop * rate / 1e3 / self.roof,
            "peak GB": gigabytes(), "s until ready": ready,
        }  # fmt: skip


def stock(pipeline: Pipeline) -> Iterator[tuple[str, Callable[[], object]]]:
    """What one has without ippo: diffusers in fp16, and its networks without diffusers' own loop."""
    half = copy.deepcopy(pipeline)
    if device() == "cuda":
        eager.narrow(half, ())
    diffusers = in_diffusers(half)
    options = {"num_inference_steps": 1, "guidance_scale": 0.0, "output_type": "np"}
    yield "diffusers", lambda: diffusers("a cat", **options).images
    draw, told = eager.one_step(half), asked(half, 1)

    @torch.no_grad()
    def bare() -> object:
        return draw(**{name: torch.from_numpy(array).to(device()) for name, array in told.items()}).cpu()

    yield "torch, not compiled", bare


def asked(pipeline: Pipeline, batch: int) -> dict[str, NDArray[Any]]:
    """What the fused step takes, on the host."""
    ids = pipeline.conditioner.tokenize(["a cat"] * batch).numpy()
    return {"input_ids": ids, "noise": noise.gaussian(range(batch), 1, pipeline.latent_shape)[0]}


def on_gpu() -> Iterator[str]:
    """The runtimes beside torch that could use the GPU here."""
    if find_spec("onnxruntime"):
        import onnxruntime

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            yield "ort"
    if getattr(find_spec("tensorrt"), "origin", None) and find_spec("cuda"):  # stubs have no origin
        yield "trt"


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def peak(side: int) -> float:
    """TFLOP/s of a bf16 product of two square matrices: what the share of the peak is a share of."""
    left, right = (torch.randn(side, side, device=device(), dtype=torch.bfloat16) for _ in range(2))
    return 2 * side**3 / _seconds(lambda: left @ right) / 1e12


def copied(count: int) -> float:
    """GB/s of a copy within the device's memory, read and written."""
    source = torch.empty(count, dtype=torch.uint8, device=device())
    target = torch.empty_like(source)
    return 2 * count / _seconds(lambda: target.copy_(source)) / 1e9


def _seconds(run: Callable[[], object], times: int = 10) -> float:
    for _ in range(3):
        run()
    _wait()
    began = time.perf_counter()
    for _ in range(times):
        run()
    _wait()
    return (time.perf_counter() - began) / times


def _wait() -> None:
    if device() == "cuda":
        torch.cuda.synchronize()


def _forget() -> None:
    if device() == "cuda":
        torch.compiler.reset()  # with it the memory of earlier recordings
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def gigabytes() -> float | str:
    """The most that torch held on the GPU."""
    return torch.cuda.max_memory_allocated() / 1e9 if device() == "cuda" else ""


def energy() -> float:
    """Joules since the driver was loaded; 0 where nothing counts them."""
    if device() == "cpu" or not find_spec("pynvml"):
        return 0.0
    import pynvml

    pynvml.nvmlInit()
    try:
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByIndex(0))) / 1e3
    except pynvml.NVMLError:
        return 0.0


def say(finding: Mapping[str, object]) -> None:
    print(json.dumps(finding), flush=True)


if __name__ == "__main__":
    app()
