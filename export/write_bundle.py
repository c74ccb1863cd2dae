"""A student's diffusers folder → a bundle that passed the gate; it trains nothing and serves nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError

from base.errors import BadInput
from base.files import atomic_folder, check_overwritable, checksums, write_text
from export import build_engines, fused, gate, graphs, lora_fusion, parity, quantize
from models import folder as folders
from models.labels import Input
from models.pipeline import Pipeline
from models.task import task_named, task_of
from runtime import networks
from runtime.bundle import BY_WORD_FILE, Bundle, open_bundle
from runtime.manifest import MANIFEST, VERSION, Manifest
from runtime.shapes import Bucket
from runtime.signature import FUSED, SIGNATURES

PACKAGES = ("torch", "diffusers", "transformers", "onnx", "onnxruntime", "openvino")
Precision = Literal["fp16", "fp32", "int8"]
GATE_IMAGES, CALIBRATION_IMAGES = 8, 32
"""Images that the gate draws, and that calibrate int8, where nobody says which."""


@dataclass(frozen=True)
class ExportOptions:
    """How a student becomes a bundle."""

    model_name: str | None = None
    """What people call the model; by default the name of the bundle's folder."""
    precision: Precision = "fp16"
    """Precision of the weights and inside the graphs; `int8` is fp16 with quantised twins of the fused graph."""
    buckets: Sequence[Bucket] = ()
    """Static plans; their image sizes are added to the pipeline's own, which are those of the buckets it learnt."""
    lora: Path | None = None
    """An adapter to fuse into the denoiser first."""
    inputs: Sequence[Input] = ()
    """What the gate draws or writes; by default examples of the task."""
    calibration: Sequence[Input] = ()
    """What int8 is calibrated on; by default examples of the task."""
    engines: str = ""
    """Compute capabilities, e.g. `sm86,sm89`, for which the fused graph's engine is built into the bundle."""
    captions: tuple[str, ...] = ()
    """A few captions of the student's own set, which pages suggest."""
    trained: bool = True
    """Random weights are measured, and held to no PSNR."""
    overwrite: bool = False
    """Whether a bundle that is there may be replaced."""


def export(student: str, out: Path, options: ExportOptions | None = None, opened: Pipeline | None = None) -> Bundle:
    """Export a student (a diffusers folder or Hub name, or `opened` which the user calls so) as the bundle `out`.

    Whatever is raised, nothing is left behind, and an older bundle at `out` stays as it was. BadInput: no student, something at
    `out` that may not be overwritten, buckets that its networks do not take, a failed gate, a full disk.
    """
    options = options or ExportOptions()
    check_overwritable(out, options.overwrite, MANIFEST, "bundle")
    if options.precision == "int8":
        quantize.check()
    capabilities = build_engines.check(options.engines) if options.engines else ()

    # The student, with its adapter
    pipeline = opened or folders.as_student(folders.load(student), student, student)
    _check_kind(pipeline, options, student)
    if options.lora:
        lora_fusion.fuse(pipeline, options.lora)
    _check_buckets(pipeline, options.buckets)
    inputs = options.inputs or task_of(pipeline).examples(GATE_IMAGES)

    try:
        with atomic_folder(out) as folder:
            # Weights: one copy, which all graphs point into
            stored: graphs.Precision = "fp16" if options.precision == "int8" else options.precision
            folders.save(pipeline, folder, graphs.STORED[stored])

            # Graphs: each network's own, held against torch as soon as it is there, then the fused one composed of them
            paths, figures = _write_graphs(pipeline, folder, stored)
            _finish(pipeline, folder, paths)

            # Manifest: what is known before an image is drawn; the gate opens the bundle by it
            flows = _further_flows(pipeline, folder, stored, options, options.model_name or out.name)
            bundle = Bundle(folder, _manifest(pipeline, folder, paths, figures, options.model_name or out.name))
            more = _buckets(bundle.manifest, options.buckets) | {"captions": options.captions, "flows": flows}
            bundle = _with(bundle, precision=options.precision, **more)

            # Gate: what every backend that is installed draws or writes, against torch float32
            bundle = _with(bundle, parity=figures | gate.measured(bundle, pipeline, inputs, options.trained))
            for flow in flows:
                bundle = _gated(bundle, pipeline.flow(flow), options.trained)

            # int8: quantised twins of the fused graph, with a gate of their own
            if options.precision == "int8":
                many = options.calibration or task_of(pipeline).examples(CALIBRATION_IMAGES)
                many = many[:: -(-len(many) // CALIBRATION_IMAGES)]  # evenly over all that there are
                bundle = quantize.add(bundle, pipeline, many, inputs, options.trained)

            # Engines: of the fused graph, for GPUs that need not be here
            bundle = build_engines.add(bundle, capabilities)

            # Names: optimum's, and the bundle's own, which it takes when everything else is there
            _name_for_optimum(folder)
            write_text(folder / MANIFEST, bundle.manifest.model_dump_json(indent=2) + "\n")
    except (OSError, SafetensorError) as error:  # a full disk, above all
        raise BadInput(f"{out} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    return open_bundle(out)


def _check_kind(pipeline: Pipeline, options: ExportOptions, student: str) -> None:
    """BadInput: what a student of this kind has not is asked for."""
    if pipeline.autoencoder.by_word is not None and (options.engines or options.precision == "int8"):
        asked = "engines" if options.engines else "int8"
        raise BadInput(f"{student} writes word by word, so it has no fused graph, which {asked} needs")
    if options.precision == "int8" and pipeline.siblings:
        raise BadInput(f"{student} holds several flows, which int8 is not for; accepted: fp16, fp32")


def _finish(pipeline: Pipeline, folder: Path, paths: dict[str, str]) -> None:
    """Write the fused graph and enter it in `paths`; of a flow that writes word by word, say how it does."""
    if (words := pipeline.autoencoder.by_word) is not None:
        (folder / BY_WORD_FILE).write_text(json.dumps(asdict(words), indent=2) + "\n")
        return
    task = task_named(pipeline.task)
    scale, names = networks.scaling_factor(pipeline), networks.conditioning_names(pipeline)
    fused.write(folder, paths, pipeline.schedule, scale, names, task)
    paths[FUSED] = task.fused


def _further_flows(
    pipeline: Pipeline, folder: Path, stored: graphs.Precision, options: ExportOptions, model_name: str
) -> dict[str, Manifest]:
    """The graphs of the folder's other flows that are students: task → manifest, without files."""
    manifests = {}
    for sibling in pipeline.siblings:
        if sibling.is_student:
            flow = pipeline.flow(sibling.task)
            paths, figures = _write_graphs(flow, folder, stored, f"{flow.task}-")
            _finish(flow, folder, paths)
            manifest = _manifest(flow, folder, paths, figures, model_name)
            manifests[flow.task] = manifest.model_copy(update={"files": {}, "precision": options.precision})
    return manifests


def _gated(bundle: Bundle, flow: Pipeline, trained: bool) -> Bundle:
    """The bundle with the figures of one further flow: what every backend here gives, against torch."""
    view = bundle.flow(flow.task)
    figures = gate.measured(view, flow, task_of(flow).examples(GATE_IMAGES), trained)
    manifest = view.manifest.model_copy(update={"parity": view.manifest.parity | figures, "files": {}})
    return _with(bundle, flows=bundle.manifest.flows | {flow.task: manifest})


def _write_graphs(
    pipeline: Pipeline, folder: Path, precision: graphs.Precision, front: str = ""
) -> tuple[dict[str, str], dict[str, dict[str, float]]]:
    """Write and measure the graph of every network: name → path, and name → figures.

    Graphs over several files lie side by side for all flows: `front` keeps their names apart.
    A network whose activations leave fp16's range (VAE decoders are known for it) gets a wide graph.
    """
    inputs, weights = networks.examples(pipeline, batch=2), folders.weight_files(pipeline)
    paths, figures = {}, {}
    for name, network in (networks.components(pipeline) | networks.shared(pipeline)).items():
        expected = parity.reference(name, network, pipeline)
        wide = not parity.fits_fp16(expected.largest_activation)
        files = [folder / file for file in weights[SIGNATURES[name].part]]
        graph = graphs.write(name, network, inputs[name], files, wide, precision, f"{front}{name}")
        paths[name] = graph.relative_to(folder).as_posix()
        figures[name] = parity.component(name, expected, graph)
    return paths, figures


def _with(bundle: Bundle, **changes: Any) -> Bundle:
    """The bundle with other values in its manifest, which is not on disk yet."""
    return replace(bundle, manifest=bundle.manifest.model_copy(update=changes))


def _buckets(manifest: Manifest, buckets: Sequence[Bucket]) -> dict[str, Any]:
    """Buckets, and the image sizes (W, H) with those that they add."""
    sizes = dict.fromkeys([*manifest.sizes, *((bucket.width, bucket.height) for bucket in buckets)])
    return {"buckets": tuple(buckets), "sizes": tuple(sizes)}


def _manifest(
    pipeline: Pipeline, folder: Path, paths: dict[str, str], figures: dict[str, dict[str, float]], model_name: str
) -> Manifest:
    """What the folder holds so far; `paths` of the graphs, and `figures` of those that were measured."""
    given = networks.conditioner_arrays(pipeline, pipeline.conditioner.tokenize([pipeline.null_input]))
    encoder: Any = getattr(pipeline.conditioner, "image_encoder", None)
    return Manifest(
        version=VERSION,
        task=pipeline.task,
        model_name=model_name,
        inputs=pipeline.inputs,
        classes=pipeline.classes,
        slots=dict(pipeline.slots),
        graphs=paths,
        conditioning=networks.conditioning_names(pipeline),
        precision="fp16",
        wide=tuple(name for name in figures if not parity.fits_fp16(figures[name]["largest_activation"])),
        sizes=networks.image_sizes(pipeline),
        latent_shape=pipeline.latent_shape,
        scaling_factor=networks.scaling_factor(pipeline),
        tokens=next(iter(given.values())).shape[1],
        scheduler=folders.scheduler_file(pipeline),
        picture_tokens=(encoder.tokens, encoder.width) if encoder else None,
        picture_size=(encoder.side, encoder.side) if encoder else None,
        local_tokens=bool(getattr(encoder, "local_tokens", False)),
        files=checksums(folder),
        parity=figures,
        versions=dict(versions()),
    )


def versions() -> Iterator[tuple[str, str]]:
    """Name and version of every package that exports and is installed."""
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


def _check_buckets(pipeline: Pipeline, buckets: Sequence[Bucket]) -> None:
    multiple = networks.side_multiple(pipeline)
    for bucket in buckets:
        if bucket.width % multiple or bucket.height % multiple:
            raise BadInput(f"bucket {bucket}: width and height must be multiples of {multiple}")
