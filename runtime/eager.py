"""Graphs as torch networks: in float32 on a CPU the reference that the others are compared with; it needs no ONNX file.

On a GPU, in fp16 with the same parts wide as in the graphs, compiled and recorded as CUDA graphs. That half has never run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch import Tensor

from base.errors import BadInput
from models import folder, sampling
from models.pipeline import Pipeline
from models.pixel_tensors import as_bytes
from models.schedule import STUDENT_TIMESTEPS
from models.task import task_named
from runtime import available, networks
from runtime.available import BackendInfo
from runtime.backend import Backend, BackendOptions
from runtime.bundle import Bundle
from runtime.signature import COMPONENTS, FUSED, SIGNATURES, graph_inputs, graph_outputs

BACKEND = BackendInfo(package="torch", extra="train", devices=("cpu", "cuda"), rank=2)


class EagerBackend(Backend):
    """The bundle's own diffusers folder, run by torch."""

    name = "eager"

    def __init__(self, pipeline: Pipeline, options: BackendOptions | None = None, wide: Sequence[str] = ()) -> None:
        """`wide` names the components whose activations leave fp16's range."""
        super().__init__(options)
        self.device = _device(self.options.device)
        if self.options.threads is not None:
            torch.set_num_threads(self.options.threads)
        self.pipeline = pipeline
        self._conditioning = networks.conditioning_names(pipeline)
        parts = networks.components(pipeline) | networks.shared(pipeline)
        self._names = {name: part.outputs for name, part in parts.items()}
        self._names[FUSED] = graph_outputs(FUSED, pipeline.task)
        self._networks: dict[str, Callable[..., Any]] = dict(parts)
        if self.device == "cuda":
            narrow(pipeline, wide)
            self._networks = {name: _compiled(network) for name, network in self._networks.items()}
            self._recorded = _compiled(one_step(pipeline))

    @torch.no_grad()
    def run_piece(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs `(N, …)` or scalars → outputs `(N, …)`, by the torch network; any N."""
        given = networks.as_tuple(self._run(graph, inputs))
        return {name: tensor.cpu().numpy() for name, tensor in zip(self._names[graph], given, strict=True)}

    def _run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> Any:
        tensors = {name: torch.from_numpy(array).to(self.device) for name, array in inputs.items()}
        if graph == FUSED and self.device == "cpu":
            return self._one_step(**tensors)
        if self.device == "cuda":
            torch.compiler.cudagraph_mark_step_begin()  # what an earlier run gave may be written over
        if graph == FUSED:
            return self._recorded(**tensors)
        taken = graph_inputs(graph, self.pipeline.task, self._conditioning)
        assert set(tensors) == taken, f"{graph} takes {sorted(taken)}"
        return self._networks[graph](**tensors)

    def _one_step(self, noise: Tensor, **inputs: Tensor) -> Tensor:
        conditioning = networks.conditioned(self.pipeline, inputs)
        denoise = self.pipeline.denoise(conditioning)
        x0 = sampling.student_loop(denoise, [noise], STUDENT_TIMESTEPS[1], self.pipeline.schedule)
        return torch.from_numpy(self.pipeline.autoencoder.output(x0))


def load(bundle: Bundle, options: BackendOptions) -> EagerBackend:
    """BadInput: a bundle without torch weights."""
    if not any(name.endswith(".safetensors") for name in bundle.manifest.files):
        others = ", ".join(name for name in available.backends() if name != EagerBackend.name)
        raise BadInput(f"{bundle.folder} holds graphs alone, which backend 'eager' cannot run; accepted: {others}")
    pipeline = folder.load(bundle.folder)
    flow = pipeline.flow(bundle.manifest.task) if pipeline.siblings else pipeline
    return EagerBackend(flow, options, bundle.manifest.wide)


def narrow(pipeline: Pipeline, wide: Sequence[str], device: str = "cuda") -> None:
    """Put every part on the device in fp16, those of `wide` components in float32, convolutions in their fast layout."""
    wide_parts = {SIGNATURES[name].part for name in wide}
    for part in {signature.part for signature in COMPONENTS.values()}:
        dtype = torch.float32 if part in wide_parts else torch.float16
        getattr(pipeline, part).to(device, dtype, memory_format=torch.channels_last)


def one_step(pipeline: Pipeline) -> Callable[..., Tensor]:
    """What the conditioner takes and `noise (N, C, h, w)` → `(N, H, W, 3)` uint8, all on the device and without a branch.

    The arithmetic between the networks is in float32, as in the fused graph.
    """
    parts, scale = networks.components(pipeline), networks.scaling_factor(pipeline)
    (timestep,), schedule, names = STUDENT_TIMESTEPS[1], pipeline.schedule, networks.conditioning_names(pipeline)
    task = task_named(pipeline.task)
    present = as_bytes if task.output == "image" else (lambda decoded: decoded)

    def images(noise: Tensor, **inputs: Tensor) -> Tensor:
        taken = {name: inputs[name] for name in task.conditioner_inputs}
        conditioning = dict(zip(names, networks.as_tuple(parts["conditioner"](**taken)), strict=True))
        conditioning |= {name: inputs[name] for name in task.direct_inputs}
        time = torch.full((), timestep, dtype=torch.int64, device=noise.device)
        output = parts["denoiser"](sample=noise, timestep=time, **conditioning)
        x0 = sampling.to_x0(noise, output, schedule.alpha[timestep], schedule.sigma[timestep], schedule.prediction_type)
        return present(parts["decoder"](latent_sample=x0 / scale))

    return images


def _compiled(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """One plan a shape, replayed as a CUDA graph."""
    return cast("Callable[..., Tensor]", torch.compile(function, mode="reduce-overhead", dynamic=False))


def _device(requested: str) -> str:
    """`cpu` or `cuda`; BadInput: torch sees no GPU."""
    has_gpu = torch.cuda.is_available()
    if requested == "cuda" and not has_gpu:
        raise BadInput("backend 'eager' finds no GPU: torch.cuda is not available; accepted here: auto, cpu")
    return "cuda" if has_gpu and requested != "cpu" else "cpu"
