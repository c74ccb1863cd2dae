"""The fused one-step graph, composed from the split graphs over the same weights; it knows ONNX and the sampler.

Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, compose, helper, numpy_helper

from export.graphs import save
from models import pixels, sampling
from models.schedule import STUDENT_TIMESTEPS, Schedule
from models.task import Task
from models.tasks.text_to_image import TextToImage
from runtime.signature import CONDITIONING, FUSED


@dataclass
class Tape:
    """Nodes and constants in the order in which they are computed."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def constant(self, value: float | int, dtype: type[np.generic]) -> str:
        """Add a scalar; its name in the graph."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def apply(self, operator: str, *inputs: str, output: str = "", **attributes: object) -> Symbol:
        """Add a node that reads `inputs` and names its one result `output`; without a name it gets one of its own."""
        output = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"node_{output}", **attributes))
        return Symbol(self, output)

    def splice(self, part: onnx.ModelProto, inputs: dict[str, str]) -> list[Symbol]:
        """Append a whole graph and give its outputs; `inputs` says which value feeds which of its inputs."""
        for value in part.graph.input:
            self.apply("Identity", inputs[value.name.rpartition("/")[2]], output=value.name)
        self.nodes.extend(part.graph.node)
        self.constants.extend(part.graph.initializer)
        return [Symbol(self, value.name) for value in part.graph.output]


@dataclass(frozen=True)
class Symbol:
    """A float32 value that writes down what is computed from it, so that `models.sampling` itself builds the graph."""

    tape: Tape
    name: str

    def _with(self, operator: str, other: Symbol | float) -> Symbol:
        right = other.name if isinstance(other, Symbol) else self.tape.constant(other, np.float32)
        return self.tape.apply(operator, self.name, right)

    def __add__(self, other: Symbol | float) -> Symbol:
        return self._with("Add", other)

    def __sub__(self, other: Symbol | float) -> Symbol:
        return self._with("Sub", other)

    def __mul__(self, other: Symbol | float) -> Symbol:
        return self._with("Mul", other)

    def clip(self, low: float, high: float) -> Symbol:
        """The value, limited to low and high."""
        limits = (self.tape.constant(low, np.float32), self.tape.constant(high, np.float32))
        return self.tape.apply("Clip", self.name, *limits)

    def __truediv__(self, other: Symbol | float) -> Symbol:
        return self._with("Div", other)


def write(
    bundle: Path,
    graphs: Mapping[str, str],
    schedule: Schedule,
    scaling_factor: float,
    conditioning: Sequence[str] = CONDITIONING[:1],
    task: type[Task] = TextToImage,
) -> None:
    """Write the task's fused graph from `graphs` (name → path): its inputs and `noise (N, C, h, w)` → `images (N, H, W, 3)`.

    What writes gives `token_ids (N, S)`. `conditioning` are the denoiser's inputs that the conditioner's outputs feed, in
    order; the task's direct inputs go to the denoiser as they are.
    """
    conditioner, denoiser, decoder = (
        _part(bundle, name, graphs[name]) for name in ("conditioner", "denoiser", "decoder")
    )
    tape, (timestep,) = Tape(), STUDENT_TIMESTEPS[1]
    inputs = {_own_name(value): value for value in (*conditioner.graph.input, *_direct(denoiser, task))}
    taken = {_own_name(value): _own_name(value) for value in conditioner.graph.input}
    pairs = zip(conditioning, tape.splice(conditioner, taken), strict=True)
    now = tape.constant(timestep, np.int64)
    fed = {"sample": "noise", "timestep": now, **{name: value.name for name, value in pairs}}
    (output,) = tape.splice(denoiser, fed | {name: name for name in task.direct_inputs})
    alpha, sigma = schedule.alpha[timestep], schedule.sigma[timestep]
    x0: Symbol = sampling.to_x0(Symbol(tape, "noise"), output, alpha, sigma, schedule.prediction_type)
    (decoded,) = tape.splice(decoder, {"latent_sample": (x0 / scaling_factor).name})
    graph = helper.make_graph(
        tape.nodes,
        FUSED,
        [*(_named(value, name) for name, value in inputs.items()), _named(denoiser.graph.input[0], "noise")],
        [PRESENTED[task.output](decoded)],
        tape.constants,
    )
    save(
        helper.make_model(graph, opset_imports=denoiser.opset_import, ir_version=denoiser.ir_version),
        bundle / task.fused,
    )


def _own_name(value: ValueInfoProto) -> str:
    return value.name.rpartition("/")[2]


def _direct(denoiser: onnx.ModelProto, task: type[Task]) -> list[ValueInfoProto]:
    return [value for value in denoiser.graph.input if _own_name(value) in task.direct_inputs]


def _images(decoded: Symbol) -> ValueInfoProto:
    _to_uint8(decoded)  # (N, H, W, 3)
    return helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", "image_height", "image_width", 3])


def _token_ids(decoded: Symbol) -> ValueInfoProto:
    decoded.tape.apply("Identity", decoded.name, output="token_ids")  # (N, S)
    return helper.make_tensor_value_info("token_ids", TensorProto.INT64, ["batch", None])


PRESENTED = {"image": _images, "text": _token_ids}
"""What comes out of a task → how the decoder's output becomes it, and the graph's output."""


def _to_uint8(images: Symbol) -> Symbol:
    """`(N, 3, H, W)` in [−1, 1] → `(N, H, W, 3)` uint8, rounded to nearest."""
    tape = images.tape
    levels: Symbol = pixels.to_levels(images)
    rows = tape.apply("Transpose", tape.apply("Round", levels.name).name, perm=[0, 2, 3, 1])
    return tape.apply(
        "Cast", rows.name, output="images", to=TensorProto.UINT8
    )  # last: TensorRT does nothing else to uint8


def _part(bundle: Path, name: str, path: str) -> onnx.ModelProto:
    """A split graph with prefixed names and its weights seen from the bundle's root."""
    model = compose.add_prefix(onnx.load(str(bundle / path), load_external_data=False), f"{name}/")
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = (Path(path).parent / entry.value).as_posix()
    return model


def _named(value: ValueInfoProto, name: str) -> ValueInfoProto:
    renamed = ValueInfoProto()
    renamed.CopyFrom(value)
    renamed.name = name
    return renamed
