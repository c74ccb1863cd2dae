"""A student's diffusers folder → a bundle that passed the gate; it trains nothing and serves nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError

from base.errors import BadInput
from export import fused, graphs, lora_fusion, parity, quantize
from models import folder as folders
from models.labels import Input
from models.pipeline import Pipeline
from models.schedule import STUDENT_SCHEDULER, STUDENT_TIMESTEPS
from models.task import task_of
from runtime import available, backend, networks
from runtime.backend import Backend, BackendOptions
from runtime.bundle import MANIFEST, VERSION, Bundle, Manifest, Step, open_bundle, sha256
from runtime.generator import Generator
from runtime.shapes import Bucket
from runtime.signature import COMPONENTS, FUSED, FUSED_PATH

PACKAGES = ("torch", "diffusers", "transformers", "onnx", "onnxruntime", "openvino")
Precision = Literal["fp16", "fp32", "int8"]
DRAWN, CALIBRATED = 8, 32
"""Images that the gate draws, and that calibrate int8 where nobody says which."""


def export(
    pipeline_folder: str,
    out: Path,
    *,
    trained: bool = True,
    model_name: str | None = None,
    source: str | None = None,
    card: dict[str, Any] | None = None,
    inputs: Sequence[Input] | None = None,
    buckets: Sequence[Bucket] = (),
    precision: Precision = "fp16",
    calibration: Sequence[Input] | None = None,
    lora: Path | None = None,
    overwrite: bool = False,
) -> Bundle:
    """Export the student in `pipeline_folder` (or a Hub name) as the bundle `out`.

    Random weights (`trained=False`) are not asked for PSNR; `inputs` are what the gate draws; `buckets` add image sizes
    to the pipeline's own; the adapter `lora` is fused into the denoiser first; int8 is calibrated on the inputs
    `calibration`. Whatever is raised, nothing is left behind and an older bundle at `out` stays as it was.
    """
    check_out(out, overwrite)
    if precision == "int8":
        quantize.check()
    stored: graphs.Precision = "fp16" if precision == "int8" else precision
    pipeline = folders.load(pipeline_folder)
    if lora:
        lora_fusion.fuse(pipeline, lora)
    _check_student(pipeline, pipeline_folder)
    _check_buckets(pipeline, buckets)
    names = {"model_name": model_name or out.name, "source": source or Path(pipeline_folder).name}
    work = out.with_name(out.name + ".tmp")
    shutil.rmtree(work, ignore_errors=True)  # of an export that was killed
    beside = work / out.name
    try:
        folders.save(pipeline, beside, graphs.STORED[stored])
        places, figures = _write_graphs(pipeline, beside, stored)
        manifest = _manifest(pipeline, beside, places, figures)
        kept = {"precision": precision, "buckets": tuple(buckets), "card": card or {}}
        sizes = dict.fromkeys([*manifest.sizes, *((bucket.width, bucket.height) for bucket in buckets)])
        manifest = manifest.model_copy(update={**names, **kept, "sizes": tuple(sizes)})
        wanted = inputs or task_of(pipeline).examples(DRAWN)
        drawn = _draw(Bundle(beside, manifest), pipeline, wanted, trained)
        manifest = manifest.model_copy(update={"parity": figures | drawn})
        if precision == "int8":
            many = calibration or task_of(pipeline).examples(CALIBRATED)
            many = many[:: -(-len(many) // CALIBRATED)]  # evenly over all that there are
            quantised, gained = quantize.add(Bundle(beside, manifest), pipeline, many, wanted, trained)
            manifest = quantised.manifest.model_copy(update={"parity": manifest.parity | gained})
        _name_for_optimum(beside)
        (beside / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
        folders.replace_folder(beside, out)
    except (OSError, SafetensorError) as error:  # a full disk, above all
        raise BadInput(f"{out} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return open_bundle(out)


def _write_graphs(
    pipeline: Pipeline, bundle: Path, precision: graphs.Precision
) -> tuple[dict[str, str], dict[str, dict[str, float]]]:
    """Every graph, each measured as soon as it is there, the fused one last: name → path, and name → figures.

    A network whose activations leave fp16's range (VAE decoders are known for it) gets a wide graph.
    """
    inputs, weights = networks.examples(pipeline, batch=2), folders.weight_files(pipeline)
    places, figures = {FUSED: FUSED_PATH}, {}
    for name, network in networks.components(pipeline).items():
        expected = parity.reference(name, network, pipeline)
        beside, wide = weights[COMPONENTS[name].part], not parity.fits_fp16(expected.largest_activation)
        files = [bundle / file for file in beside]
        graph = graphs.write(name, network, inputs[name], files, wide, precision)
        places[name] = graph.relative_to(bundle).as_posix()
        figures[name] = parity.component(name, expected, graph)
    fused.write(bundle, places, pipeline.schedule, networks.scaling_factor(pipeline), networks.told(pipeline))
    return places, figures


def _draw(bundle: Bundle, pipeline: Pipeline, inputs: Sequence[Input], trained: bool) -> dict[str, dict[str, float]]:
    """Backend → PSNR of its images, for every backend installed here; bf16 that misses the bar is not used later."""
    figures = {}
    for name, runner in _backends(bundle):
        figures[name] = parity.image(Generator(bundle, runner), pipeline, inputs)
        if trained and name in available.backends():
            parity.require_psnr(name, figures[name])
    return figures


def _backends(bundle: Bundle) -> Iterator[tuple[str, Backend]]:
    """Everything installed here that runs on a CPU, and the other ways in which it computes."""
    loaded = {name: backend.load(name, bundle, BackendOptions(device="cpu")) for name in available.installed("cpu")}
    yield from loaded.items()
    for one in loaded.values():
        yield from one.variants().items()


def _manifest(
    pipeline: Pipeline, bundle: Path, places: dict[str, str], figures: dict[str, dict[str, float]]
) -> Manifest:
    schedule = pipeline.schedule
    times = sorted({time for times in STUDENT_TIMESTEPS.values() for time in times}, reverse=True)
    files = sorted(path for path in bundle.rglob("*") if path.is_file())
    return Manifest(
        version=VERSION,
        task=pipeline.task,
        model_name="",
        source="",
        inputs=pipeline.inputs,
        classes=pipeline.classes,
        slots=dict(pipeline.slots),
        graphs=places,
        told=networks.told(pipeline),
        precision="fp16",
        wide=tuple(name for name in figures if not parity.fits_fp16(figures[name]["largest_activation"])),
        prediction_type=schedule.prediction_type,
        timesteps=tuple(Step(timestep=t, alpha=schedule.alpha[t], sigma=schedule.sigma[t]) for t in times),
        sizes=(networks.image_size(pipeline),),
        latent_shape=pipeline.latent_shape,
        scaling_factor=networks.scaling_factor(pipeline),
        tokens=pipeline.conditioner.tokenize([pipeline.null_input]).shape[1],
        files={path.relative_to(bundle).as_posix(): sha256(path) for path in files},
        parity=figures,
        versions=dict(versions()),
    )


def versions() -> Iterator[tuple[str, str]]:
    """Of the packages that export."""
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:  # a runtime that is not installed here
            continue


def _name_for_optimum(bundle: Path) -> None:
    """optimum looks for the decoder in `vae_decoder/`, external data cannot leave their folder: another name of `vae/`.

    Where a file system has no symbolic links, everything but optimum goes on without it.
    """
    if (bundle / "vae").is_dir():
        with suppress(OSError):
            (bundle / "vae_decoder").symlink_to("vae")


def _check_student(pipeline: Pipeline, name: str) -> None:
    if not pipeline.is_student:
        found = pipeline.scheduler["_class_name"]
        raise BadInput(f"{name} is no student: its scheduler is {found}, a student's is {STUDENT_SCHEDULER}")


def _check_buckets(pipeline: Pipeline, buckets: Sequence[Bucket]) -> None:
    multiple = networks.side_multiple(pipeline)
    for bucket in buckets:
        if bucket.width % multiple or bucket.height % multiple:
            raise BadInput(f"bucket {bucket}: width and height must be multiples of {multiple}")


def check_out(out: Path, overwrite: bool) -> None:
    """BadInput: something is there that may not be overwritten."""
    if not out.exists():
        return
    if not overwrite:
        raise BadInput(f"{out} exists already: name another folder, or say that it may be overwritten")
    if not (out / MANIFEST).is_file():
        raise BadInput(f"{out} is no bundle, so it will not be overwritten: name another folder")
