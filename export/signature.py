"""What each graph of a bundle takes and gives, where it lies and how exact it must be; it knows neither torch nor any runtime.

Names are optimum's. Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens, `D` width.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Signature:
    """One graph. Axes name the dynamic dimensions of each input and output; all others are fixed."""

    path: str
    """Inside the bundle. External data cannot leave its own folder, so a graph lies beside (or above) its weights."""
    weights: str
    """The safetensors file that holds the parameters, inside the bundle."""
    inputs: dict[str, dict[int, str]]
    output: str
    output_axes: dict[int, str]
    tolerance: float
    """Largest ‖graph − torch fp32‖ / ‖torch fp32‖ that passes the gate: fp16 weights give about 5e-4 a network."""


_LATENT = {0: "batch", 2: "height", 3: "width"}
_PIXELS = {0: "batch", 2: "image_height", 3: "image_width"}
_VAE = "vae/diffusion_pytorch_model.safetensors"

COMPONENTS: dict[str, Signature] = {
    "text_encoder": Signature(
        path="text_encoder/model.onnx",
        weights="text_encoder/model.safetensors",
        inputs={"input_ids": {0: "batch"}},  # (N, S) int64
        output="last_hidden_state",  # (N, S, D)
        output_axes={0: "batch"},
        tolerance=1e-2,
    ),
    "unet": Signature(
        path="unet/model.onnx",
        weights="unet/diffusion_pytorch_model.safetensors",
        inputs={
            "sample": _LATENT,
            "timestep": {},
            "encoder_hidden_states": {0: "batch"},
        },  # (N, C, h, w), (), (N, S, D)
        output="out_sample",  # (N, C, h, w)
        output_axes=_LATENT,
        tolerance=2e-2,
    ),
    "vae_decoder": Signature(
        path="vae/decoder.onnx",
        weights=_VAE,
        inputs={"latent_sample": _LATENT},  # (N, C, h, w), not scaled
        output="sample",  # (N, 3, H, W) in [−1, 1]
        output_axes=_PIXELS,
        tolerance=1e-2,
    ),
    "vae_encoder": Signature(
        path="vae/encoder.onnx",
        weights=_VAE,
        inputs={"sample": _PIXELS},  # (N, 3, H, W) in [−1, 1]
        output="latent_sample",  # (N, C, h, w), the mode, not scaled
        output_axes=_LATENT,
        tolerance=1e-2,
    ),
}
"""The split graphs. Floats go in and out as float32; inside they are fp16."""

FUSED = "one_step"
FUSED_PATH = "one_step.onnx"
"""`input_ids (N, S)` int64 and `noise (N, C, h, w)` float32 → `images (N, H, W, 3)` uint8, over the same weights."""

WIDE_OPERATORS = frozenset(
    {"InstanceNormalization", "GroupNormalization", "LayerNormalization", "Softmax", "ReduceMean", "ReduceSum", "Exp"}
)
"""Operators of an fp16 graph that compute in float32: they sum many terms or exponentiate (norms, softmax)."""

LEAST_PSNR = 35.0
"""dB that 8-bit one-step images keep against torch float32 with the same noise, where the weights are trained."""


def graph_path(graph: str) -> str:
    """Where a graph lies inside the bundle."""
    return FUSED_PATH if graph == FUSED else COMPONENTS[graph].path
