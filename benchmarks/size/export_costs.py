"""What an export and a start cost in memory, time and disk, each in a process of its own; it times no image.

python -m benchmarks.size.export_costs unet      # the graph of Stable Diffusion 1.4's UNet in fp16; aims: 3.5 GB, 60 s
python -m benchmarks.size.export_costs bundle    # a whole export, its gate included; bundle ÷ safetensors, aim: 1.02
python -m benchmarks.size.export_costs first FOLDER    # from opening a bundle to its first image

Imports lie inside of the functions: the process that is measured holds no more than it needs.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, help=__doc__)
Small = Annotated[bool, typer.Option("--small", help="Tiny networks of the same classes.")]
MEMORY_GB, SECONDS, DISK = 3.5, 60.0, 1.02
"""What is asked at full size."""


@app.command()
def unet(small: Small = False) -> None:
    """The denoiser's graph: fp16 weights on disk → ONNX beside them."""
    with tempfile.TemporaryDirectory() as scratch:
        _elsewhere("weights", scratch, *(["--small"] if small else []))
        import torch
        from diffusers import UNet2DConditionModel

        from export import graphs
        from runtime.networks import DenoiserGraph

        network = UNet2DConditionModel.from_pretrained(scratch, torch_dtype=torch.float16).eval()
        opened, began = peak_gb(), time.perf_counter()
        side, width = int(network.config["sample_size"]), int(network.config["cross_attention_dim"])
        inputs = {
            "sample": torch.randn(2, 4, side, side),
            "timestep": torch.tensor(999),
            "encoder_hidden_states": torch.randn(2, 77, width),
        }
        graph = graphs.write(
            "denoiser", DenoiserGraph(network), inputs, Path(scratch) / "diffusion_pytorch_model.safetensors"
        )
        found = {"seconds": round(time.perf_counter() - began, 1), "peak GB": peak_gb(), "peak GB when opened": opened}
        aims = {"aims": {"seconds": SECONDS, "peak GB": MEMORY_GB}}
        print(json.dumps({"unet": {**found, "graph MB": round(graph.stat().st_size / 1e6, 2), **aims}}))


@app.command()
def bundle(small: Small = False) -> None:
    """A whole export with its gate, and how much more than its safetensors a bundle is."""
    with tempfile.TemporaryDirectory() as scratch:
        saved, out = Path(scratch) / "student", Path(scratch) / "bundle"
        _elsewhere("student", str(saved), *(["--small"] if small else []))
        from export.write_bundle import ExportOptions, export

        began = time.perf_counter()
        made = export(str(saved), out, ExportOptions(trained=False, inputs=["a cat"]))
        took = round(time.perf_counter() - began, 1)
        found = {"seconds": took, "peak GB": peak_gb(), **disk(made.folder)}
        print(json.dumps({"bundle": {**found, "aims": {"÷ safetensors": DISK}}}))


@app.command()
def first(folder: Path, backend: str = "auto") -> None:
    """From opening a bundle (every file is checked) to its first image; the second call finds what the first compiled."""
    began = time.perf_counter()
    from runtime import backend as backends
    from runtime.bundle import open_bundle
    from runtime.generator import Generator, Request

    opened = open_bundle(folder)
    checked = time.perf_counter() - began
    Generator(opened, backends.load(backend, opened)).generate([Request("a cat", 0)])
    took = {"seconds": round(time.perf_counter() - began, 2), "of it checking files": round(checked, 2)}
    print(json.dumps({"first image": {**took, "peak GB": peak_gb()}}))


@app.command(hidden=True)
def weights(folder: Path, small: Small = False) -> None:
    """Write a UNet with random fp16 weights."""
    from benchmarks.size.random_networks import FULL, SMALL
    from benchmarks.size.random_networks import unet as random_unet

    random_unet(SMALL if small else FULL).half().save_pretrained(folder)


@app.command(hidden=True)
def student(folder: Path, small: Small = False) -> None:
    """Write a student with random fp16 weights."""
    import torch

    from benchmarks.size.random_networks import FULL, SMALL
    from benchmarks.size.random_networks import student as random_student
    from models import folder as folders

    folders.save(random_student(SMALL if small else FULL, "KL"), folder, torch.float16)


def first_image(folder: Path) -> dict[str, float]:
    """What `first` finds, in a process of its own."""
    return dict(json.loads(_elsewhere("first", str(folder)))["first image"])


def disk(folder: Path) -> dict[str, float]:
    """Bytes of a bundle beside those of its weights; another name of a file counts nothing."""
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    safetensors = sum(size for path, size in sizes.items() if path.suffix == ".safetensors")
    return {"MB": round(sum(sizes.values()) / 1e6, 2), "÷ safetensors": round(sum(sizes.values()) / safetensors, 4)}


def peak_gb() -> float:
    """The most memory that this process has held (Linux). Not getrusage's figure, which begins with its parent's."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return round(int(found[1]) * 1024 / 1e9, 2) if found else 0.0


def _elsewhere(*command: str) -> str:
    """The last line that another process of this program prints."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.size.export_costs", *command], stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout.strip().rpartition("\n")[2]


if __name__ == "__main__":
    app()
