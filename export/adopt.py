"""A folder of graphs that optimum exported → a bundle: its networks stay as they are, their edges become ours.

It runs no torch, though what it shares with the export imports it. Such a folder holds no torch weights, so the gate has
nothing to compare with, and there are no figures of parity.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.checker import ValidationError

from base.errors import BadInput
from base.files import atomic_folder, check_overwritable, checksums, write_text
from base.pointers import refuse_pointer
from export import fused
from export.write_bundle import versions
from models import tokenizer_files
from models.schedule import Schedule
from models.scheduler_configs import check_student, is_few_step, student_scheduler
from models.stable_diffusion import TASK
from runtime.bundle import Bundle, open_bundle
from runtime.manifest import MANIFEST, VERSION, Manifest
from runtime.signature import COMPONENTS, CONDITIONING, FUSED, FUSED_PATH, Signature, graph_inputs

PARTS = {"conditioner": "text_encoder", "denoiser": "unet", "decoder": "vae_decoder", "encoder": "vae_encoder"}
"""Graph → its folder at optimum's; the encoder may be missing."""
WEIGHTS = "model.onnx_data"
INLINE_BYTES = 1024
MOMENTS = "latent_parameters"
"""optimum's encoders give mean and log-variance; ours the mean alone, which is the first half of the channels."""


def adopt(folder: Path, out: Path, *, model_name: str | None = None, overwrite: bool = False) -> Bundle:
    """The folder of a one-step text-to-image student as the bundle `out`; nothing is left behind when it fails."""
    check_overwritable(out, overwrite, MANIFEST, "bundle")
    _check(folder)
    try:
        with atomic_folder(out) as bundle:
            for name in ("scheduler", "tokenizer", "model_index.json"):
                _copy(folder / name, bundle / name)
            _name_scheduler(bundle)
            tokenizer_files.save(tokenizer_files.load(folder / "tokenizer"), bundle / "tokenizer")
            parts = {name: part for name, part in PARTS.items() if (folder / part).is_dir()}
            paths = {name: _graph(name, folder / part, bundle / part) for name, part in parts.items()}
            manifest = _manifest(bundle, paths, model_name or out.name)
            fused.write(bundle, paths, _schedule(bundle), manifest.scaling_factor)
            manifest = manifest.model_copy(update={"files": checksums(bundle)})
            write_text(bundle / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise BadInput(f"{out} cannot be written: {error.strerror or error}") from error
    return open_bundle(out)


def _check(folder: Path) -> None:
    """BadInput: not optimum's, or no student's."""
    needed = ["model_index.json", "scheduler/scheduler_config.json", "tokenizer"]
    needed += [f"{PARTS[name]}/model.onnx" for name in ("conditioner", "denoiser", "decoder")]
    if missing := [name for name in needed if not (folder / name).exists()]:
        raise BadInput(f"{folder} is no folder that optimum exported: {', '.join(missing)} is missing")
    scheduler = _json(folder / "scheduler/scheduler_config.json")
    if not is_few_step(scheduler):
        check_student(scheduler, str(folder))


def _name_scheduler(bundle: Path) -> None:
    """A published one-step model's scheduler becomes a student's, over the same betas."""
    file, index = bundle / "scheduler/scheduler_config.json", bundle / "model_index.json"
    if is_few_step(published := _json(file)):
        scheduler = student_scheduler(published)
        file.write_text(json.dumps(scheduler, indent=2) + "\n")
        named = {**_json(index), "scheduler": ["diffusers", scheduler["_class_name"]]}
        index.write_text(json.dumps(named, indent=2) + "\n")


def _graph(name: str, source: Path, target: Path) -> str:
    """Copy one graph with our edges, with its weights in a file of their own: the graph's path in the bundle."""
    model, signature = _opened(source), COMPONENTS[name]
    _inputs(model, name, signature)
    _output(model, signature)
    del model.graph.value_info[:]
    target.mkdir(parents=True)
    _copy(source / "config.json", target / "config.json")
    onnx.save_model(
        model, str(target / "model.onnx"), save_as_external_data=True, location=WEIGHTS, size_threshold=INLINE_BYTES
    )
    onnx.checker.check_model(str(target / "model.onnx"))
    return f"{target.name}/model.onnx"


def _opened(source: Path) -> ModelProto:
    """A graph with its weights. BadInput: they only point at their content, are not there, or are no graph."""
    for file in sorted(source.glob("*.onnx*")):
        refuse_pointer(file)
    file = source / "model.onnx"
    try:
        return onnx.load(str(file))
    except (DecodeError, ValidationError, ValueError, OSError) as error:
        first = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise BadInput(f"{file} and its weights are not whole: {first[:200]}: fetch them again") from error


def _inputs(model: ModelProto, name: str, signature: Signature) -> None:
    """Our types and names of dimensions; a cast where optimum's type is another. BadInput: other inputs."""
    graph, accepted = model.graph, sorted(graph_inputs(name, TASK))
    if (names := sorted(value.name for value in graph.input)) != accepted:
        raise BadInput(f"the {signature.part}'s graph takes {', '.join(names)}; accepted: {', '.join(accepted)}")
    for value in graph.input:
        kind, own = value.type.tensor_type, value.name
        elem_type = TensorProto.INT64 if own in ("input_ids", "timestep") else TensorProto.FLOAT
        for index, axis in signature.inputs[own].items():
            kind.shape.dim[index].dim_param = axis
        if own == "encoder_hidden_states":
            kind.shape.dim[1].dim_param = "tokens"
        if kind.elem_type != elem_type:
            for node in graph.node:
                node.input[:] = [f"{own}_as_given" if name == own else name for name in node.input]
            graph.node.insert(0, helper.make_node("Cast", [own], [f"{own}_as_given"], to=kind.elem_type))
            kind.elem_type = elem_type


def _output(model: ModelProto, signature: Signature) -> None:
    """The one output that we read, as float32."""
    graph = model.graph
    output = next((value for value in graph.output if value.name in (signature.output, MOMENTS)), None)
    if output is None:
        raise BadInput(f"the {signature.part}'s graph does not give {signature.output}")
    if output.name == MOMENTS:
        half = output.type.tensor_type.shape.dim[1].dim_value // 2
        graph.initializer.append(numpy_helper.from_array(np.array([half, half], np.int64), "halves"))
        graph.node.append(helper.make_node("Split", [MOMENTS, "halves"], [signature.output, "log_variance"], axis=1))
    shape: list[str | int | None] = [dim.dim_value or None for dim in output.type.tensor_type.shape.dim]
    for index, axis in signature.output_axes.items():
        shape[index] = axis
    shape[1] = None if output.name == MOMENTS else shape[1]
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(signature.output, output.type.tensor_type.elem_type, shape))


def _manifest(bundle: Path, paths: dict[str, str], model_name: str) -> Manifest:
    unet, vae = _json(bundle / "unet/config.json"), _json(bundle / "vae_decoder/config.json")
    tokenizer = _json(bundle / "tokenizer/tokenizer_config.json")
    side, scale = int(unet["sample_size"]), 2 ** (len(vae["block_out_channels"]) - 1)
    return Manifest(
        version=VERSION,
        task=TASK,
        model_name=model_name,
        inputs=("prompt",),
        graphs={FUSED: FUSED_PATH, **paths},
        conditioning=CONDITIONING[:1],
        precision=_precision(bundle / paths["denoiser"]),
        sizes=((scale * side, scale * side),),
        latent_shape=(int(unet["in_channels"]), side, side),
        scaling_factor=float(vae["scaling_factor"]),
        tokens=int(tokenizer["model_max_length"]),
        files={},
        parity={},
        versions=dict(versions()),
    )


def _precision(graph: Path) -> str:
    kinds = {tensor.data_type for tensor in onnx.load(str(graph), load_external_data=False).graph.initializer}
    return "fp16" if TensorProto.FLOAT16 in kinds else "fp32"


def _schedule(bundle: Path) -> Schedule:
    return Schedule.from_config(_json(bundle / "scheduler/scheduler_config.json"))


def _json(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_bytes()))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
