"""Optimizers and their rate over time, from configuration; it knows nothing about losses."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from base.config import Config
from base.errors import BadInput
from training.run.sharding import check_optimizer, is_shared

_MANY = 10**8
"""Weights whose second copy is not worth the speed."""


class OptimizerConfig(Config):
    """One optimizer and its rate."""

    name: Literal["adamw", "adamw8bit", "muon"] = "adamw"
    """`muon` orthogonalises the updates of matrices and convolutions; everything else goes to AdamW. `adamw8bit` keeps
    AdamW's averages in 8 bits (`pip install bitsandbytes`, on a GPU)."""
    rate: float = Field(default=1e-3, ge=0)
    """Peak learning rate (of Muon, scaled to AdamW's update size, where it is chosen)."""
    betas: tuple[float, float] = (0.9, 0.99)
    """AdamW's averages."""
    decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay."""
    warmup: int = Field(default=50, ge=0)
    """Steps of linear rise."""
    schedule: Literal["constant", "cosine", "linear"] = "cosine"
    """How the rate falls from its peak to zero at the last step."""
    clip: float = Field(default=1.0, gt=0)
    """Largest gradient norm."""


def rate_factor(config: OptimizerConfig, step: int, steps: int) -> float:
    """The rate at `step` of `steps` as a fraction of the peak."""
    if step < config.warmup:
        return (step + 1) / (config.warmup + 1)
    progress = min(1.0, (step - config.warmup) / max(1, steps - config.warmup))
    match config.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1.0 - progress
        case "cosine":
            return 0.5 + 0.5 * math.cos(math.pi * progress)


def build(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """An optimizer over `parameters`. BadInput: one that cannot take weights that are shared out, or is not there."""
    chosen = list(parameters)
    if is_shared(chosen):
        check_optimizer(config.name)
    if config.name == "muon":
        return Muon(chosen, config)
    if config.name == "adamw8bit":
        return _eight_bits(chosen, config)
    # Not fused: on a CPU that reads gradients as if they lay in memory like the weights, and those of convolutions do not.
    # And large networks one weight after the other: all at once takes as much memory again as the weights.
    together = sum(weight.numel() for weight in chosen) < _MANY
    return torch.optim.AdamW(chosen, config.rate, betas=config.betas, weight_decay=config.decay, foreach=together)


def _eight_bits(parameters: list[nn.Parameter], config: OptimizerConfig) -> torch.optim.Optimizer:
    """AdamW with averages in 8 bits (arXiv 2110.02861). BadInput: the library is not there."""
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise BadInput("optimizer adamw8bit needs bitsandbytes: pip install 'ippo[8bit]'; or choose adamw") from error
    return AdamW8bit(parameters, config.rate, betas=config.betas, weight_decay=config.decay)


class Muon(torch.optim.Optimizer):
    """Muon over matrices and convolutions seen as matrices, AdamW over the rest.

    The matrices are views that share storage with the weights (Jordan et al. 2024; rates matched to AdamW's as in
    arXiv 2502.16982).
    """

    def __init__(self, parameters: list[nn.Parameter], config: OptimizerConfig) -> None:
        super().__init__([{"params": parameters, "lr": config.rate}], {})
        self._weights = [weight for weight in parameters if weight.ndim >= 2 and min(weight.shape[:2]) > 1]
        chosen = {id(weight) for weight in self._weights}
        self._views = [nn.Parameter(_matrix(weight.detach(), weight)) for weight in self._weights]
        self._muon = StackedMuon(self._views, config.rate, weight_decay=config.decay, adjust_lr_fn="match_rms_adamw")
        rest = [weight for weight in parameters if id(weight) not in chosen]
        rest = rest or [nn.Parameter(torch.empty(0))]  # AdamW refuses to have nothing to do
        self._adamw = torch.optim.AdamW(rest, config.rate, betas=config.betas, weight_decay=0.0)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every weight in place from its gradient."""
        assert closure is None
        for group in (*self._muon.param_groups, *self._adamw.param_groups):
            group["lr"] = self.param_groups[0]["lr"]
        for weight, view in zip(self._weights, self._views, strict=True):
            view.grad = None if weight.grad is None else _matrix(weight.grad, weight)
        self._muon.step()
        self._adamw.step()

    def state_dict(self) -> dict[str, Any]:
        """Both optimizers' states under one numbering: Muon's first."""
        muon, adamw = self._muon.state_dict(), self._adamw.state_dict()
        shift = len(self._views)
        state = {**muon["state"], **{index + shift: values for index, values in adamw["state"].items()}}
        return {"state": state, "param_groups": [*muon["param_groups"], *adamw["param_groups"]]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict` gave."""
        shift = len(self._views)
        state, (muon, adamw) = state_dict["state"], state_dict["param_groups"]
        self._muon.load_state_dict(
            {"state": {index: values for index, values in state.items() if index < shift}, "param_groups": [muon]}
        )
        rest = {index - shift: values for index, values in state.items() if index >= shift}
        self._adamw.load_state_dict({"state": rest, "param_groups": [adamw]})


def _matrix(values: Tensor, weight: Tensor) -> Tensor:
    """`values`, of the weight's shape, as `(R, C)` in the order in which the weight lies in memory."""
    return (values if weight.is_contiguous() else values.movedim(1, -1)).reshape(len(weight), -1)


class StackedMuon(torch.optim.Muon):
    """torch's Muon, matrices of one shape together: many small products become a few."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every weight in place from its gradient."""
        assert closure is None
        (group,) = self.param_groups
        stacks: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for weight in group["params"]:
            if weight.grad is not None:
                stacks[weight.shape].append((weight, weight.grad))
        for shape, stack in stacks.items():
            weights, gradients = map(list, zip(*stack, strict=True))
            for weight in weights:
                if not self.state[weight]:
                    self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
            momenta = [self.state[weight]["momentum_buffer"] for weight in weights]
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])  # Nesterov's
            updates = orthogonal(torch.stack(ahead), group["ns_coefficients"], group["ns_steps"])
            rate = group["lr"] * 0.2 * math.sqrt(max(shape))  # match_rms_adamw
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(weights, list(updates.unbind()), alpha=-rate)


def orthogonal(matrices: Tensor, coefficients: tuple[float, float, float], steps: int) -> Tensor:
    """Newton–Schulz: every matrix of `(K, R, C)` with its singular values moved near 1, float32.

    Each step multiplies X by a polynomial p of X·Xᵀ. All are polynomials of the first X·Xᵀ and commute, so the square Gram
    matrices alone are iterated, and their product meets X once: a sixth to a tenth of the time where X is long. That needs
    float32, which is faster than bf16 too on CPUs that emulate it.
    """
    a, b, c = coefficients
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).float()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    gram, product = x @ x.mT, torch.eye(x.shape[1], device=x.device).expand(len(x), -1, -1)
    for step in range(steps):
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        polynomial.diagonal(dim1=1, dim2=2).add_(a)
        product = polynomial @ product
        if step + 1 < steps:
            gram = polynomial @ gram @ polynomial
    x = product @ x
    return x.mT if tall else x
