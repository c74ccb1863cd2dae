"""`ippo save`, `ippo export`, `ippo adopt`: a run as a diffusers folder or as a bundle; what optimum exported as a bundle."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from commands.options import Decoder


def save(
    run: Annotated[str, typer.Argument(help="Run, diffusers folder or Hub name.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    decoder: Decoder = None,
) -> None:
    """Save a run's pipeline as a plain diffusers folder in fp16."""
    import torch

    from models import folder
    from training.assemble import opened

    folder.save(opened(run, decoder), out, torch.float16)


def export(
    run: Annotated[str, typer.Argument(help="Student: a run, or a diffusers folder.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    decoder: Decoder = None,
    name: Annotated[str | None, typer.Option(help="What the model is called; by default the folder's name.")] = None,
    buckets: Annotated[
        str | None, typer.Option(help="Static plans as BATCHxWIDTHxHEIGHT, e.g. 1x64x64,4x64x64; they add sizes too.")
    ] = None,
    precision: Annotated[
        Literal["fp16", "fp32", "int8"],
        typer.Option(help="Precision of weights and graphs; int8 adds quantised twins of the fused graph."),
    ] = "fp16",
    calibrate: Annotated[
        Path | None, typer.Option(help="Prompts or labels that calibrate int8: .txt, .csv, .parquet, metadata.jsonl.")
    ] = None,
    lora: Annotated[
        Path | None, typer.Option(help="Adapter to fuse into the denoiser first: peft or diffusers.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a bundle that is there.")] = False,
) -> None:
    """Export a student as a bundle: ONNX graphs over one copy of the weights, checked against torch.

    The gate runs the graphs on every backend that is installed here (openvino, ort, eager). What it says nothing about: the
    backends `trt` and `ort` on CUDA build on the machine that serves, and have never run on a GPU.
    """
    from base.files import spoken_of
    from export.write_bundle import ExportOptions
    from export.write_bundle import export as write_bundle
    from models import folder
    from runtime import prompts, shapes
    from training.assemble import opened

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was half-written goes
    planned = shapes.parse(buckets) if buckets else ()
    calibration = [row.input for row in prompts.read(calibrate)] if calibrate else ()
    with tempfile.TemporaryDirectory() as scratch, spoken_of(student := Path(scratch) / "student", run):
        folder.save(opened(run, decoder), student)
        options = ExportOptions(name, precision, planned, lora, calibration=calibration, overwrite=overwrite)
        bundle = write_bundle(str(student), out, options)
    Console().print_json(data=bundle.manifest.parity)


def adopt(
    folder: Annotated[Path, typer.Argument(help="One-step student that optimum exported to ONNX.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    name: Annotated[str | None, typer.Option(help="What the model is called; by default the folder's name.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a bundle that is there.")] = False,
) -> None:
    """Make a bundle of a folder that optimum exported; there is nothing to compare its graphs with."""
    from export.adopt import adopt as adopted

    print(adopted(folder, out, model_name=name, overwrite=overwrite).folder)
