"""What an export and a start cost in memory, time and disk, each in a process of its own; it times no image.

python -m benchmarks.size.export_costs unet      # the graph of Stable Diffusion 1.4's UNet in fp16
python -m benchmarks.size.export_costs bundle    # a whole export of that size, its gate included
python -m benchmarks.size.export_costs first FOLDER    # from opening a bundle to its first image

Imports lie inside of the functions: the process that is measured holds no more than it needs.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.child import JsonObject, last_object
from benchmarks.peer_side import peak_gb

app = typer.Typer(add_completion=False, help=__doc__)
Small = Annotated[bool, typer.Option("--small", help="Tiny networks of the same classes.")]
MEMORY_GB, SECONDS, DISK, FIRST_SECONDS = 3.5, 60.0, 1.02, 15.0
"""The bars at full size: of the UNet's graph, of a bundle ÷ its safetensors, of a first image."""


@app.command()
def unet(small: Small = False) -> None:
    """The denoiser's graph: fp16 weights on disk → ONNX beside them."""
    with tempfile.TemporaryDirectory() as scratch:
        random_weights(scratch, small)
        import torch
        from diffusers import UNet2DConditionModel

        from export import graphs
        from runtime.graph_networks import DenoiserGraph

        network = UNet2DConditionModel.from_pretrained(f"{scratch}/unet", torch_dtype=torch.float16).eval()
        opened, began = peak_gb(), time.perf_counter()
        side, width = int(network.config["sample_size"]), int(network.config["cross_attention_dim"])
        sample, hidden = torch.randn(2, 4, side, side), torch.randn(2, 77, width)
        inputs = {"sample": sample, "timestep": torch.tensor(999), "encoder_hidden_states": hidden}
        weights = Path(scratch) / "unet" / "diffusion_pytorch_model.safetensors"
        graph = graphs.write("denoiser", DenoiserGraph(network), inputs, weights)
        seconds, peak, size = time.perf_counter() - began, peak_gb(), graph.stat().st_size / 1e6
    from evaluation.result import Bar, bars_result, publish

    bars = [Bar("seconds", seconds, most=SECONDS), Bar("peak GB", peak, most=MEMORY_GB)]
    bars += [Bar("peak GB when the weights are opened", opened), Bar("graph MB", size)]
    publish(bars_result("The graph of a UNet", bars), None)


@app.command()
def bundle(small: Small = False) -> None:
    """A whole export with its gate, and how much more than its safetensors a bundle is."""
    with tempfile.TemporaryDirectory() as scratch:
        random_weights(f"{scratch}/student", small)
        from export.write_bundle import ExportOptions, export

        began = time.perf_counter()
        made = export(f"{scratch}/student", Path(scratch) / "bundle", ExportOptions(trained=False, inputs=["a cat"]))
        seconds, peak, disk = time.perf_counter() - began, peak_gb(), over_safetensors(made.folder)
    from evaluation.result import Bar, bars_result, publish

    bars = [Bar("seconds", seconds), Bar("peak GB", peak), Bar("bundle ÷ safetensors", disk, most=DISK)]
    publish(bars_result("The export of a bundle", bars), None)


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
    print(json.dumps({"seconds": time.perf_counter() - began, "of it checking files": checked, "peak GB": peak_gb()}))


def first_image(folder: Path) -> JsonObject:
    """Seconds to the first image of a bundle and the peak in GB, in a process of its own."""
    return last_object("benchmarks.size.export_costs", "first", str(folder))


def random_weights(folder: str, small: bool, *options: str) -> JsonObject:
    """Write random weights from a process of its own, whose memory is then free again."""
    return last_object("benchmarks.size.random_networks", folder, *options, *(["--small"] if small else []))


def over_safetensors(folder: Path) -> float:
    """Bytes of a bundle ÷ those of its weights; another name of a file counts nothing."""
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    return sum(sizes.values()) / sum(size for path, size in sizes.items() if path.suffix == ".safetensors")


if __name__ == "__main__":
    app()
