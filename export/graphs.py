"""Networks → ONNX graphs whose weights stay in the safetensors files; it knows nothing about bundles or backends."""

from __future__ import annotations

import copy
import json
import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import onnx
import onnx_ir as ir
import torch
from torch import Tensor, nn

from export.signature import COMPONENTS, WIDE_OPERATORS, Signature
from models.pipeline import Pipeline

OPSET = 18


class TextEncoder(nn.Module):
    """`input_ids (N, S)` → `last_hidden_state (N, S, D)` float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor) -> Tensor:
        return cast(Tensor, self.network(input_ids).last_hidden_state.float())


class Denoiser(TextEncoder):
    """`sample (N, C, h, w)`, `timestep ()`, `encoder_hidden_states (N, S, D)` → `(N, C, h, w)` float32."""

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor) -> Tensor:  # type: ignore[override]
        dtype = next(self.network.parameters()).dtype
        return cast(Tensor, self.network(sample.to(dtype), timestep, encoder_hidden_states.to(dtype)).sample.float())


class Decoder(TextEncoder):
    """`latent_sample (N, C, h, w)` → `(N, 3, H, W)` float32."""

    def forward(self, latent_sample: Tensor) -> Tensor:
        dtype = next(self.network.parameters()).dtype
        return cast(Tensor, self.network.decode(latent_sample.to(dtype)).sample.float())  # type: ignore[operator]


class Encoder(TextEncoder):
    """`sample (N, 3, H, W)` → `(N, C, h, w)` float32: the mode."""

    def forward(self, sample: Tensor) -> Tensor:
        dtype = next(self.network.parameters()).dtype
        encoded = self.network.encode(sample.to(dtype))  # type: ignore[operator]
        latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
        return cast(Tensor, latents.float())


def components(pipeline: Pipeline) -> dict[str, nn.Module]:
    """The pipeline's networks behind the signatures' inputs and outputs, by component name."""
    text_encoder, vae = pipeline.conditioner.text_encoder, pipeline.autoencoder.vae
    return {
        "text_encoder": TextEncoder(cast(nn.Module, text_encoder)),
        "unet": Denoiser(pipeline.denoiser),
        "vae_decoder": Decoder(cast(nn.Module, vae)),
        "vae_encoder": Encoder(cast(nn.Module, vae)),
    }


def examples(pipeline: Pipeline, batch: int = 2, scale: int = 1, seed: int = 0) -> dict[str, dict[str, Tensor]]:
    """Random inputs for every component: latents of `scale` times the pipeline's own height and width."""
    draw = torch.Generator().manual_seed(seed)
    channels, height, width = pipeline.latent_shape
    latent = torch.randn(batch, channels, height * scale, width * scale, generator=draw)
    words = ["a", "b c d", "e f", "g h i j k l m n o p"] * batch
    ids = pipeline.conditioner.tokenize(words[:batch])  # type: ignore[operator]
    with torch.no_grad():
        hidden = pipeline.conditioner(ids).encoder_hidden_states.float()
        pixels = pipeline.autoencoder.decode(latent[:1, :, :2, :2]).shape[-1] // 2  # type: ignore[operator]
    image = torch.rand(batch, 3, height * scale * pixels, width * scale * pixels, generator=draw) * 2 - 1
    return {
        "text_encoder": {"input_ids": ids},
        "unet": {"sample": latent, "timestep": torch.tensor(999), "encoder_hidden_states": hidden},
        "vae_decoder": {"latent_sample": latent},
        "vae_encoder": {"sample": image},
    }


def write(name: str, network: nn.Module, inputs: dict[str, Tensor], bundle: Path) -> None:
    """Export one component in fp16 beside its weights, and have onnx check it."""
    signature = COMPONENTS[name]
    model = _trace(copy.deepcopy(network).half().eval(), signature, inputs)
    _widen(model)
    _point_at_weights(model, bundle / signature.weights)
    save(_plain(model), bundle / signature.path)


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write and check a graph."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, str(path))
    onnx.checker.check_model(str(path))


def _trace(network: nn.Module, signature: Signature, inputs: dict[str, Tensor]) -> ir.Model:
    shapes = {name: dict.fromkeys(axes, torch.export.Dim.AUTO) or None for name, axes in signature.inputs.items()}
    with _quiet():
        program = torch.onnx.export(
            network,
            kwargs=inputs,
            dynamo=True,
            optimize=False,  # keeps names and bytes of the parameters
            opset_version=OPSET,
            dynamic_shapes=shapes,
            input_names=list(signature.inputs),
            output_names=[signature.output],
            verbose=False,
        )
    assert program is not None
    model = cast(ir.Model, program.model)
    for value, axes in [
        *zip(model.graph.inputs, signature.inputs.values(), strict=True),
        (model.graph.outputs[0], signature.output_axes),
    ]:
        value.shape = ir.Shape([axes.get(index, size) for index, size in enumerate(value.shape)])
    return model


def _widen(model: ir.Model) -> None:
    """Compute `WIDE_OPERATORS` in float32: casts around every one that works on fp16."""
    for node in [node for node in model.graph if node.op_type in WIDE_OPERATORS]:
        output = node.outputs[0]
        if output.dtype != ir.DataType.FLOAT16:
            continue
        for index, value in enumerate(node.inputs):
            if value is not None and value.dtype == ir.DataType.FLOAT16:
                cast_in = ir.node("Cast", [value], {"to": ir.DataType.FLOAT})
                model.graph.insert_before(node, cast_in)
                node.replace_input_with(index, cast_in.outputs[0])
        cast_out = ir.node("Cast", [output], {"to": ir.DataType.FLOAT16})
        ir.convenience.replace_all_uses_with(output, cast_out.outputs[0])
        cast_out.replace_input_with(0, output)
        output.dtype = ir.DataType.FLOAT
        cast_out.outputs[0].dtype = ir.DataType.FLOAT16
        model.graph.insert_after(node, cast_out)


def _point_at_weights(model: ir.Model, weights: Path) -> None:
    """Replace every parameter by a reference into the safetensors file beside the graph; small constants stay inline."""
    where = tensor_places(weights)
    for name in list(model.graph.initializers):
        value = model.graph.initializers[name]
        key = name.removeprefix("network.")
        if key not in where:
            assert value.const_value is not None and value.const_value.nbytes < 4096, f"{name} is not in {weights}"
            continue
        tensor, (offset, length) = value.const_value, where[key]
        assert tensor is not None and tensor.nbytes == length, f"{name}: {weights} holds {length} bytes"
        value.name = key
        value.const_value = ir.ExternalTensor(
            weights.name, offset, length, tensor.dtype, shape=tensor.shape, name=key, base_dir=weights.parent
        )


def tensor_places(weights: Path) -> dict[str, tuple[int, int]]:
    """Tensor name → (offset, length) in bytes from the start of a safetensors file."""
    with weights.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return {
        name: (8 + size + start, end - start)
        for name, entry in header.items()
        for start, end in [entry["data_offsets"]]
    }


def _plain(model: ir.Model) -> onnx.ModelProto:
    """Without the exporter's notes (stack traces, guessed symbolic shapes of inner values)."""
    proto = cast(onnx.ModelProto, ir.serde.serialize_model(model))
    del proto.graph.value_info[:], proto.metadata_props[:], proto.graph.metadata_props[:]
    proto.graph.doc_string = ""
    for item in [*proto.graph.node, *proto.graph.initializer, *proto.graph.input, *proto.graph.output]:
        del item.metadata_props[:]
        item.doc_string = ""
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns about packages it does not need."""
    logger: Any = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
