"""A base by the sizes of its parts, read from the heads of its files or from what is made anew; it trains nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from base.config import Config
from base.runs import named, trained
from models import component_configs, weight_files
from models import folder as folders
from models.bases import Base


@dataclass(frozen=True)
class Parts:
    """A base by the sizes of its parts."""

    denoiser: Mapping[str, Any]
    """Its configuration."""
    whole: int
    """Parameters of all parts."""
    conditioner: int
    others: int
    """Parameters of all but the denoiser, the conditioner's among them."""
    narrow: int = 0
    """Those of text encoders that are stored in bf16."""

    @classmethod
    def of(cls, base: str) -> Parts:
        """Of a run, a diffusers folder, a Hub name or one file; no weights are read. BadInput: what opening it would refuse."""
        folders.check(named(base))
        opened = Base.at(str(named(base)))
        folder, sizes = opened.folder, opened.sizes()
        names = folders.component_names(folder)
        (denoiser,) = names["denoiser"]
        conditioner = sum(sizes.get(name, 0) for name in names["conditioner"])
        whole = sum(sizes.values())
        narrow = sum(sizes.get(name, 0) for name in names["conditioner"] if weight_files.is_narrow(folder / name))
        return cls(
            component_configs.config(folder, denoiser), whole, conditioner, whole - sizes.get(denoiser, 0), narrow
        )

    @classmethod
    def from_scratch(cls, base: Config) -> Parts:
        """Of a base that is made anew. BadInput: a run that it is made of is not there."""
        made = folders.build(base, trained)
        conditioner, denoiser, autoencoder = (
            sum(weight.numel() for weight in part.parameters())
            for part in (made.conditioner, made.denoiser, made.autoencoder)
        )
        others = conditioner + autoencoder
        network: Any = made.denoiser
        return cls({"_class_name": type(network).__name__, **network.config}, denoiser + others, conditioner, others)
