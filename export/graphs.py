"""Networks → ONNX graphs whose weights stay in the safetensors files; it knows nothing about bundles or backends."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
import torch
from onnxscript import optimizer
from torch import Tensor

from base.safetensors_head import read_head
from export.simplify import simplify
from runtime.graph_networks import Component
from runtime.signature import SIGNATURES, WIDE_OPERATORS, Signature

Precision = Literal["fp16", "fp32"]
STORED = {"fp16": torch.float16, "fp32": torch.float32}

OPSET = 18
"""21 and 23 bring `GroupNormalization` and `Attention`: measured slower on CPU, by 15 % (OpenVINO) and up to 40 % (ORT)."""
INLINE_BYTES = 1 << 20
"""Constants up to this size (masks, sinusoids, sums of weights) lie in the graph, larger ones must be in the weights' file."""


def write(
    name: str,
    network: Component,
    inputs: dict[str, Tensor],
    weights: Path | Sequence[Path],
    wide: bool = False,
    precision: Precision = "fp16",
    stem: str | None = None,
) -> Path:
    """Export one component into the folder of its weights (a safetensors file, if it has any), and let onnx check it.

    Weights in several files, each in the folder that the parameters' paths name, have their graph above these folders, called
    `stem`, by default as the component is.
    The weights are stored in `precision`. A graph of fp16 computes in fp16 but for `WIDE_OPERATORS`; a `wide` one computes in
    float32 throughout, as all graphs of fp32 do.
    """
    signature = SIGNATURES[name]
    computed = torch.float32 if wide else STORED[precision]
    traced = _computing_in(network, computed)
    simplify(traced)
    model = _trace(traced, signature, inputs)
    _fold(model)
    _widen(model)
    files = [weights] if isinstance(weights, Path) else list(weights)
    path = files[0].with_name(signature.file) if len(files) == 1 else files[0].parent.with_name(f"{stem or name}.onnx")
    for parameter in _point_at(model, files, path.parent, STORED[precision]):
        if wide and precision == "fp16":
            _cast_up(model, parameter)
    save(_plain(model), path)
    return path


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write a graph, and let onnx check it together with its external data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, str(path))
    onnx.checker.check_model(str(path))


def _computing_in(network: Component, dtype: torch.dtype) -> Component:
    """A copy whose floats have `dtype`. Tensors that have it already are shared: a large network is held once, not twice."""
    shared: dict[int, object] = {}
    for tensor in (*network.parameters(), *network.buffers()):
        converted = tensor.detach().to(dtype) if tensor.is_floating_point() else tensor
        shared[id(tensor)] = (
            torch.nn.Parameter(converted, False) if isinstance(tensor, torch.nn.Parameter) else converted
        )
    return copy.deepcopy(network, shared).eval()


def _trace(network: Any, signature: Signature, inputs: dict[str, Tensor]) -> ir.Model:
    """The graph as torch sees it; `optimize=False` keeps names and bytes of the parameters."""
    taken = {name: signature.inputs[name] for name in inputs}
    shapes = {name: dict.fromkeys(axes, torch.export.Dim.AUTO) or None for name, axes in taken.items()}
    with _quiet():
        program = torch.onnx.export(
            network,
            kwargs=inputs,
            dynamo=True,
            optimize=False,
            opset_version=OPSET,
            dynamic_shapes=shapes,
            input_names=list(taken),
            output_names=list(network.outputs),
            verbose=False,
        )
    assert program is not None
    model = cast(ir.Model, program.model)
    for value in (*model.graph.inputs, *model.graph.outputs):
        axes = taken.get(str(value.name), signature.output_axes)
        value.shape = ir.Shape([axes.get(index, size) for index, size in enumerate(value.shape or ())])
    return model


def _fold(model: ir.Model) -> None:
    """Compute what depends on no input; parameters stay as they are, whatever reads them. Gives every value its type."""
    parameters = set(model.graph.initializers)

    def keep(node: ir.Node) -> bool | None:
        return False if any(value is not None and value.name in parameters for value in node.inputs) else None

    for _ in range(2):  # the first round finds the shapes that the second computes with
        optimizer.fold_constants_ir(model, onnx_shape_inference=True, should_fold=keep)
        passes.RemoveUnusedNodesPass()(model)
    passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    passes.IdentityEliminationPass()(model)
    passes.CommonSubexpressionEliminationPass()(model)


def _widen(model: ir.Model) -> None:
    """Compute `WIDE_OPERATORS` in float32: a cast before and after every one of them that works on fp16."""
    for node in [node for node in model.graph if node.op_type in WIDE_OPERATORS]:
        output = node.outputs[0]
        assert output.dtype is not None, f"{node.name} has no known type"
        if output.dtype != ir.DataType.FLOAT16:
            continue
        for index, value in enumerate(node.inputs):
            if value is not None and value.dtype == ir.DataType.FLOAT16:
                widened = ir.node("Cast", [value], {"to": ir.DataType.FLOAT})
                model.graph.insert_before(node, widened)
                node.replace_input_with(index, widened.outputs[0])
        narrowed = ir.node("Cast", [output], {"to": ir.DataType.FLOAT16})
        narrowed.outputs[0].dtype = ir.DataType.FLOAT16  # the next such operator may read it
        ir.convenience.replace_all_uses_with(output, narrowed.outputs[0])
        narrowed.replace_input_with(0, output)  # undone by the line above
        model.graph.insert_after(node, narrowed)


def _point_at(model: ir.Model, files: Sequence[Path], folder: Path, stored: torch.dtype) -> list[ir.Value]:
    """Make every parameter a reference to the tensor in a safetensors file, in the graph's `folder` or below."""
    spans, parameters = {file: read_head(file).spans if file.is_file() else {} for file in files}, []
    kind = ir.DataType.FLOAT16 if stored is torch.float16 else ir.DataType.FLOAT
    for name, value in list(model.graph.initializers.items()):
        path = name.removeprefix("network.")
        file = next((file for file in files if file.parent.name in path.split(".")), files[0])
        inner = ".".join(part for part in path.split(".") if part != file.parent.name)  # no part of a tensor's name
        key, tensor = _stored(inner, spans[file]), value.const_value
        assert tensor is not None
        if key not in spans[file]:
            assert tensor.nbytes <= INLINE_BYTES, f"{name} is large, but not in {file.name}"
            continue
        offset, length = spans[file][key]
        held = f"{file.name} holds {key} in {length} bytes, not as {stored} {tensor.shape}"
        assert tensor.size * stored.itemsize == length, held
        value.name, value.dtype = key if len(files) == 1 else f"{file.parent.name}.{key}", kind
        value.const_value = ir.ExternalTensor(
            file.relative_to(folder).as_posix(),
            offset,
            length,
            kind,
            shape=tensor.shape,
            name=value.name,
            base_dir=folder,
        )
        parameters.append(value)
    return parameters


def _cast_up(model: ir.Model, parameter: ir.Value) -> None:
    """Let everything read the parameter as float32; runtimes do this once, when they load the graph."""
    widened = ir.node("Cast", [parameter], {"to": ir.DataType.FLOAT})
    ir.convenience.replace_all_uses_with(parameter, widened.outputs[0])
    widened.replace_input_with(0, parameter)  # undone by the line above
    model.graph.insert_before(model.graph[0], widened)


def _stored(key: str, spans: Mapping[str, tuple[int, int]]) -> str:
    """A parameter's name in the file.

    Its path in the module may begin earlier, at the conditioner or autoencoder around the network that was saved, and
    the file's path as well: transformers keeps the prefix (`text_model.`) of the checkpoint it opened.
    """
    parts = key.split(".")
    inner = [".".join(parts[start:]) for start in range(max(1, len(parts) - 1))]  # never the bare last name
    exact = (name for name in inner if name in spans)
    longer = (name for tail in inner for name in spans if name.endswith("." + tail))
    return next(exact, None) or next(longer, key)


def _plain(model: ir.Model) -> onnx.ModelProto:
    """Without the exporter's notes: stack traces, and its guesses at the shapes of inner values."""
    passes.ClearMetadataAndDocStringPass()(model)
    proto = cast(onnx.ModelProto, ir.serde.serialize_model(model))
    del proto.graph.value_info[:]
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns about packages that it does not need."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
