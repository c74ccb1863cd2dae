"""`ippo save`, `export`, `adopt`, `engines`: a run as a folder or a bundle, optimum's export as one, engines into one."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
import yaml
from rich.console import Console

from base.errors import BadInput
from base.files import check_replaceable, check_writable
from base.runs import named, taken
from commands.options import Decoder, Taken

if TYPE_CHECKING:
    from models.pipeline import Pipeline

NO_SET = "none"


def save(
    run: Annotated[str, typer.Argument(help="Run, diffusers folder or Hub name.")],
    out: Annotated[
        Path, typer.Option(help="Folder to write, or the .safetensors file of --single-file and --lora kohya.")
    ],
    decoder: Decoder = None,
    take: Taken = "best",
    single_file: Annotated[
        bool,
        typer.Option(
            "--single-file",
            help="One .safetensors in the layout of ComfyUI, Automatic1111, Forge.",
        ),
    ] = False,
    lora: Annotated[
        Literal["diffusers", "kohya"] | None,
        typer.Option(help="The adapter that the run learnt, and not the pipeline."),
    ] = None,
) -> None:
    """Save a run's pipeline in fp16: as a plain diffusers folder, as one file, or the adapter alone."""
    import torch

    from models import folder, save_lora
    from training.assemble import opened

    if single_file and lora:
        raise BadInput("--single-file and --lora are two different files: name one")
    if not (single_file or lora):
        check_replaceable(out, "model_index.json")
    elif lora != "diffusers" and out.is_dir():
        raise BadInput(f"{out} is a folder; accepted: a .safetensors file to write")
    check_writable(out.parent)
    title, run = Path(run).name, taken(run, take)
    pipeline = opened(run, decoder)
    if lora is not None:
        save_lora.save(pipeline, Path(named(run)), lora, out, title, torch.float16)
    elif single_file:
        if (why := folder.save_single_file(pipeline, out, title, torch.float16)) is not None:
            says = f"{out} opens in ippo and diffusers; others open the published shapes alone: {why}"
            Console(stderr=True).print(says, style="yellow", highlight=False)
    else:
        folder.save(pipeline, out, torch.float16)


def export(
    run: Annotated[str, typer.Argument(help="Student: a run, or a diffusers folder.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    decoder: Decoder = None,
    take: Taken = "best",
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
        Path | None, typer.Option(help="Adapter to fuse in first: a folder or file of peft, diffusers or kohya.")
    ] = None,
    engines: Annotated[
        str,
        typer.Option(
            help="Compute capabilities of RTX GPUs to build an engine for, e.g. sm86,sm89; needs none of them."
        ),
    ] = "",
    suggest: Annotated[
        str | None,
        typer.Option(
            metavar="SET", help="Set of whose captions pages suggest a few; by default the run's own; none: nothing."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
) -> None:
    """Export a student as a bundle: ONNX graphs over one copy of the weights, checked against torch.

    The gate runs the graphs on every backend that is installed here (openvino, ort, eager). What it says nothing about:
    `rtx`, `trt` and `ort` on CUDA, which need a GPU and have never run on one.
    """
    from export.write_bundle import ExportOptions
    from export.write_bundle import export as write_bundle
    from models import folder
    from runtime import prompts, shapes
    from training.assemble import opened

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was half-written goes
    planned = shapes.parse(buckets) if buckets else ()
    calibration = [row.input for row in prompts.read(calibrate)] if calibrate else ()
    model = taken(run, take)
    student = folder.as_student(opened(model, decoder), named(model), model)
    captions = _captions(run, suggest, student)
    options = ExportOptions(name, precision, planned, lora, (), calibration, engines, captions, overwrite=overwrite)
    bundle = write_bundle(model, out, options, student)
    Console().print_json(data=bundle.manifest.parity)


def _captions(run: str, suggest: str | None, student: Pipeline) -> tuple[str, ...]:
    """A few captions of the set that is named, or that the run learnt; none of a student that is not asked by captions.

    BadInput: the set that is named cannot be read. Where the run's own is gone by now, a line says so.
    """
    from base.runs import data_folder, run_folder
    from data.example_captions import example_captions
    from models.task import task_of

    if suggest == NO_SET or not task_of(student).tokenized or task_of(student).output != "image":
        return ()
    config = run_folder(run) / "config.yaml"
    values = (yaml.safe_load(config.read_text()) or {}) if config.is_file() else {}
    name, columns = suggest or values.get("data"), values.get("captions") or ["text"]
    if name is None:
        return ()
    try:
        return example_captions(data_folder(name), columns)
    except BadInput as error:
        if suggest:
            raise
        Console(stderr=True).print(f"the bundle suggests nothing: {error}", style="yellow", highlight=False)
        return ()


def adopt(
    folder: Annotated[Path, typer.Argument(help="One-step student that optimum exported to ONNX.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    name: Annotated[str | None, typer.Option(help="What the model is called; by default the folder's name.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
) -> None:
    """Make a bundle of a folder that optimum exported; there is nothing to compare its graphs with."""
    from export.adopt import adopt as adopted

    print(adopted(folder, out, model_name=name, overwrite=overwrite).folder)


def engines(
    bundle: Annotated[Path, typer.Argument(help="Bundle to put them into.")],
    capabilities: Annotated[
        str, typer.Option("--for", help="Compute capabilities of RTX GPUs, e.g. sm86,sm89,sm120: RTX 30, 40 and 50.")
    ],
    split: Annotated[
        bool, typer.Option("--split", help="Of the split graphs too, for several steps and images to start from.")
    ] = False,
) -> None:
    """Build engines of TensorRT for RTX into a bundle, on any machine, with a GPU or without.

    Without them the machine that serves builds its own at the first start. An engine belongs to one version of TensorRT for
    RTX; those for other GPUs that the bundle has already are kept.
    """
    from export import build_engines
    from runtime.bundle import open_bundle
    from runtime.signature import FUSED

    names = build_engines.check(capabilities)
    opened = open_bundle(bundle)
    added = build_engines.add(opened, names, tuple(opened.manifest.graphs) if split else (FUSED,))
    build_engines.write_manifest(added)
    for engine in added.manifest.engines:
        size = (bundle / engine.file).stat().st_size / 1e6
        print(f"{','.join(engine.capabilities)} {engine.graph} {size:.1f} MB {engine.file}")
