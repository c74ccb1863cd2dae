"""What each graph of a bundle takes and gives and how exact it must be; it knows neither torch nor any runtime.

A graph is named by its part in the pipeline; its inputs and output have optimum's names.
Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens, `A` attributes, `D` width, `V` vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from models.task import ConditionerInput, DirectInput, task_named


@dataclass(frozen=True)
class Signature:
    """One graph. Axes name the dynamic dimensions of each input and output; all others are fixed."""

    part: str
    """Whose weights it reads. External data cannot leave its own folder, so a graph lies beside (or above) its weights."""
    file: str
    """Its name in the folder of those weights."""
    inputs: dict[str, dict[int, str]]
    output: str
    output_axes: dict[int, str]
    tolerance: float
    """Largest ‖graph − torch fp32‖ / ‖torch fp32‖ that passes the gate: fp16 weights give about 5e-4 a network."""
    further: tuple[str, ...] = ()
    """Names of the outputs besides that one."""


_LATENT = {0: "batch", 2: "height", 3: "width"}
_PIXELS = {0: "batch", 2: "image_height", 3: "image_width"}

COMPONENTS: dict[str, Signature] = {
    "conditioner": Signature(
        part="conditioner",
        file="model.onnx",
        inputs={name: {0: "batch"} for name in get_args(ConditionerInput)},  # those that the task's descriptor names
        output="last_hidden_state",  # (N, S, D); where the denoiser takes more than that, see `CONDITIONING`
        output_axes={0: "batch"},
        tolerance=1e-2,
    ),
    "denoiser": Signature(
        part="denoiser",
        file="model.onnx",
        inputs={
            "sample": _LATENT,
            "timestep": {},
            "encoder_hidden_states": {0: "batch"},
            "text_embeds": {0: "batch"},
            "time_ids": {0: "batch"},
            "encoder_attention_mask": {0: "batch"},
            **{name: {0: "batch"} for name in get_args(DirectInput)},
        },  # (N, C, h, w), (), (N, S, D), and where the denoiser takes them (N, D), (N, 6), (N, S), (N, T, D), (N,)
        output="out_sample",  # (N, C, h, w)
        output_axes=_LATENT,
        tolerance=2e-2,
    ),
    "decoder": Signature(
        part="autoencoder",
        file="model.onnx",
        inputs={"latent_sample": _LATENT},  # (N, C, h, w), not scaled
        output="sample",  # (N, 3, H, W) in [−1, 1]
        output_axes=_PIXELS,
        tolerance=1e-2,
    ),
    "encoder": Signature(
        part="autoencoder",
        file="encoder.onnx",
        inputs={"sample": _PIXELS},  # (N, 3, H, W) in [−1, 1]
        output="latent_sample",  # (N, C, h, w), the mode, not scaled
        output_axes=_LATENT,
        tolerance=1e-2,
    ),
}
"""The split graphs. Floats go in and out as float32; inside they are fp16."""

SHARED: dict[str, Signature] = {
    "image_encoder": Signature(
        part="image_encoder",
        file="model.onnx",
        inputs={"pixel_values": {0: "batch"}},  # (N, 3, H, W) in [−1, 1], of the model's own size
        output="image_embeds",  # (N, T, D), content then style
        output_axes={0: "batch"},
        tolerance=1e-2,
    ),
}
"""Graphs of parts that several flows of one bundle share."""

NEXT_TOKEN = "next_token"
BY_WORD: dict[str, Signature] = {
    NEXT_TOKEN: Signature(
        part="autoencoder",
        file="next_token.onnx",
        inputs={
            "latent_sample": {0: "batch"},
            "token_ids": {0: "batch"},
            "position": {},
            "past": {0: "batch"},
        },  # (N, C, h, w), not scaled, (N, 1), (), (N, …)
        output="logits",  # (N, V)
        output_axes={0: "batch"},
        tolerance=2e-2,
        further=("present",),  # (N, …), the next call's past
    ),
}
"""The graph in place of a decoder that runs once for every word; there is no fused graph then."""
SIGNATURES = COMPONENTS | SHARED | BY_WORD

FUSED = "one_step"
FUSED_PATH = "one_step.onnx"
"""What the conditioner takes and `noise (N, C, h, w)` float32 → `images (N, H, W, 3)` uint8, over the same weights.

Of a task that has another file for it, `Task.fused`, and of one that writes, `token_ids (N, S)` int64.
"""

INPUT_AXES: dict[str, dict[str, dict[int, str]]] = {
    **{name: signature.inputs for name, signature in SIGNATURES.items()},
    FUSED: {
        **COMPONENTS["conditioner"].inputs,
        **{name: {0: "batch"} for name in get_args(DirectInput)},
        "noise": _LATENT,
    },
}
"""Graph → input → its dynamic dimensions by name."""


def conditioner_inputs(task: str) -> tuple[ConditionerInput, ...]:
    """What the conditioner takes, `input_ids (N, S)` int64 for one. BadInput: an unknown task."""
    return task_named(task).conditioner_inputs


CONDITIONING = ("encoder_hidden_states", "text_embeds", "time_ids", "encoder_attention_mask")
"""Fields of `Conditioning` that a denoiser may take: its inputs, and the conditioner's outputs, by the same names.

Where hidden states are all there is, the conditioner's one output has optimum's name for it.
"""


OUTPUTS = {"image": "images", "text": "token_ids"}
"""What comes out of a task → the output of its fused graph."""


def graph_outputs(graph: str, task: str, conditioning: Sequence[str] = CONDITIONING[:1]) -> tuple[str, ...]:
    """Names of a graph's outputs in order; the conditioner's are the names in `conditioning`, in their order."""
    if graph == FUSED:
        return (OUTPUTS[task_named(task).output],)
    if graph == "conditioner" and len(conditioning) > 1:
        return tuple(conditioning)
    return SIGNATURES[graph].output, *SIGNATURES[graph].further


def graph_inputs(graph: str, task: str, conditioning: Sequence[str] = CONDITIONING[:1]) -> set[str]:
    """The inputs that a graph has in a bundle of this task, whose denoiser takes `conditioning`. BadInput: an unknown task."""
    known = task_named(task)
    if graph in ("conditioner", FUSED):
        direct = known.direct_inputs if graph == FUSED else ()
        taken = {*known.conditioner_inputs, *direct, "noise"}
        return set(INPUT_AXES[graph].keys() & taken)
    absent = {*CONDITIONING, *get_args(DirectInput)} - {*conditioning, *known.direct_inputs}
    return set(INPUT_AXES[graph].keys() - absent)


WIDE_OPERATORS = frozenset(
    {"InstanceNormalization", "GroupNormalization", "LayerNormalization", "Softmax", "ReduceMean", "ReduceSum", "Exp"}
)
"""Operators of an fp16 graph that compute in float32: they sum many terms or exponentiate (norms, softmax)."""

LEAST_INT8_PSNR = 25.0
"""The same for graphs whose products take int8, which are asked for by name: what they lose stands beside what they gain."""

LEAST_AGREEMENT = 0.99
"""Share of the tokens of one-step captions that are torch float32's, where the weights are trained."""

LEAST_PSNR = 35.0
"""dB that 8-bit one-step images keep against torch float32 with the same noise, where the weights are trained."""
