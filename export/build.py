"""A student's diffusers folder → a checked bundle, written beside and renamed; it trains nothing and serves nothing."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from export import fused, graphs
from export.bundle import MANIFEST, VERSION, Bundle, Manifest, Step, open_bundle, sha256
from models import folder as folders
from models.errors import BadInput
from models.pipeline import Pipeline
from models.schedule import STUDENT_TIMESTEPS

STUDENT_SCHEDULER = "LCMScheduler"
PACKAGES = ("torch", "diffusers", "transformers", "onnx", "onnxruntime", "openvino")


def export(
    pipeline_folder: str,
    out: Path,
    *,
    model_name: str | None = None,
    source: str | None = None,
    card: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> Bundle:
    """Export the student in `pipeline_folder` as bundle `out`; an exception leaves nothing behind."""
    _check_out(out, overwrite)
    pipeline = folders.load(pipeline_folder)
    _check_student(pipeline, pipeline_folder)
    beside = out.with_name(out.name + ".tmp")
    try:
        folders.save(pipeline, beside, torch.float16)
        _write_graphs(pipeline, beside)
        manifest = _manifest(pipeline, beside, model_name or out.name, source or pipeline_folder, card or {})
        (beside / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
        folders.replace_folder(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return open_bundle(out)


def _write_graphs(pipeline: Pipeline, bundle: Path) -> None:
    inputs = graphs.examples(pipeline)
    for name, network in graphs.components(pipeline).items():
        graphs.write(name, network, inputs[name], bundle)
    fused.write(bundle, pipeline.schedule, _scaling_factor(bundle))


def _manifest(pipeline: Pipeline, bundle: Path, model_name: str, source: str, card: dict[str, Any]) -> Manifest:
    schedule = pipeline.schedule
    times = sorted({time for times in STUDENT_TIMESTEPS.values() for time in times}, reverse=True)
    files = sorted(path for path in bundle.rglob("*") if path.is_file())
    return Manifest(
        version=VERSION,
        task=pipeline.task,
        model_name=model_name,
        source=source,
        card=card,
        inputs=("prompt",),
        precision="fp16",
        prediction_type=schedule.prediction_type,
        timesteps=tuple(Step(timestep=t, alpha=schedule.alpha[t], sigma=schedule.sigma[t]) for t in times),
        sizes=(_size(pipeline),),
        latent_shape=pipeline.latent_shape,
        scaling_factor=_scaling_factor(bundle),
        tokens=pipeline.conditioner.tokenize([""]).shape[1],  # type: ignore[operator]
        files={path.relative_to(bundle).as_posix(): sha256(path) for path in files},
        parity={},
        versions={package: version(package) for package in PACKAGES},
    )


def _size(pipeline: Pipeline) -> tuple[int, int]:
    """(W, H) of the pipeline's images."""
    with torch.no_grad():
        image = pipeline.autoencoder.decode(torch.zeros(1, *pipeline.latent_shape))  # type: ignore[operator]
    return image.shape[3], image.shape[2]


def _scaling_factor(bundle: Path) -> float:
    return float(json.loads((bundle / "vae" / "config.json").read_text())["scaling_factor"])


def _check_student(pipeline: Pipeline, name: str) -> None:
    found = pipeline.scheduler["_class_name"]
    if found != STUDENT_SCHEDULER:
        raise BadInput(f"{name} is no student: its scheduler is {found}, a student's is {STUDENT_SCHEDULER}")


def _check_out(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not overwrite:
        raise BadInput(f"{out} exists already; name another folder or overwrite it")
    if not (out / MANIFEST).is_file():
        raise BadInput(f"{out} is no bundle and will not be overwritten; name another folder")
