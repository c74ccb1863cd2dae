"""Optimizers and their rate over time, from configuration; it knows nothing about losses."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import nn

from models.config import Config


class OptimizerConfig(Config):
    """One optimizer and its rate."""

    name: Literal["adamw", "muon"] = "adamw"
    """`muon` orthogonalises the updates of matrices and convolutions; everything else goes to AdamW."""
    rate: float = 1e-3
    """Peak learning rate (of Muon, scaled to AdamW's update size, where it is chosen)."""
    betas: tuple[float, float] = (0.9, 0.99)
    """AdamW's averages."""
    decay: float = 0.0
    """Decoupled weight decay."""
    warmup: int = 50
    """Steps of linear rise."""
    schedule: Literal["constant", "cosine", "linear"] = "cosine"
    """How the rate falls from its peak to zero at the last step."""
    clip: float = 1.0
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
    """An optimizer over `parameters`."""
    chosen = list(parameters)
    if config.name == "muon":
        return Muon(chosen, config)
    # Not fused: on a CPU that reads gradients as if they lay in memory like the weights, and those of convolutions do not.
    return torch.optim.AdamW(chosen, config.rate, betas=config.betas, weight_decay=config.decay, foreach=True)


class Muon(torch.optim.Optimizer):
    """`torch.optim.Muon` over matrices and convolutions seen as matrices, AdamW over the rest.

    The matrices are views that share storage with the weights, so both optimizers stay torch's own
    (Jordan et al. 2024; rates matched to AdamW's as in arXiv 2502.16982).
    """

    def __init__(self, parameters: list[nn.Parameter], config: OptimizerConfig) -> None:
        super().__init__([{"params": parameters, "lr": config.rate}], {})
        self._weights = [weight for weight in parameters if weight.ndim >= 2 and min(weight.shape[:2]) > 1]
        chosen = {id(weight) for weight in self._weights}
        self._views = [nn.Parameter(weight.detach().view(weight.shape[0], -1)) for weight in self._weights]
        self._muon = torch.optim.Muon(
            self._views, config.rate, weight_decay=config.decay, adjust_lr_fn="match_rms_adamw"
        )
        rest = [weight for weight in parameters if id(weight) not in chosen]
        self._adamw = torch.optim.AdamW(rest, config.rate, betas=config.betas, weight_decay=0.0)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update from the gradients in place."""
        assert closure is None
        for group in (*self._muon.param_groups, *self._adamw.param_groups):
            group["lr"] = self.param_groups[0]["lr"]
        for weight, view in zip(self._weights, self._views, strict=True):
            view.grad = None if weight.grad is None else weight.grad.reshape(weight.shape[0], -1)
        self._muon.step()
        self._adamw.step()

    def state_dict(self) -> dict[str, Any]:
        """Both optimizers' states under one numbering: Muon's first."""
        muon, adamw = self._muon.state_dict(), self._adamw.state_dict()
        shift = len(self._views)
        state = {**muon["state"], **{index + shift: values for index, values in adamw["state"].items()}}
        return {"state": state, "param_groups": [*muon["param_groups"], *adamw["param_groups"]]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        shift = len(self._views)
        state, (muon, adamw) = state_dict["state"], state_dict["param_groups"]
        self._muon.load_state_dict(
            {"state": {index: values for index, values in state.items() if index < shift}, "param_groups": [muon]}
        )
        rest = {index - shift: values for index, values in state.items() if index >= shift}
        self._adamw.load_state_dict({"state": rest, "param_groups": [adamw]})
