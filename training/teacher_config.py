"""What `ippo train teacher` is configured by; it opens nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from base.config import Config
from models import folder as folders
from training.context_choice import ContextsConfig
from training.lora import LoraConfig
from training.run.loop_config import LoopConfig
from training.run.optimizer import OptimizerConfig


class TeacherConfig(Config):
    """`ippo train teacher`."""

    run: str
    """Name of the run."""
    data: str
    """Folder or name of the image set."""
    captions: list[str] = ["text"]
    """Columns of captions or labels; each sample draws one."""
    base: str | SerializeAsAny[Config]
    """A run, a diffusers folder, a Hub name or one `.safetensors` file to fine-tune, or the parts of a teacher from scratch:
    `family` names a file in `models/`, and its `FROM_SCRATCH` says what else belongs here."""
    flow: str | None = None
    """Task of the flow that learns, where a base holds several; by default its first."""
    contexts: ContextsConfig | None = None
    """Which contexts pictures are shown with, of a flow that draws from text and pictures."""
    lora: LoraConfig | None = None
    """Learns an adapter over the base's denoiser in place of the denoiser; it is merged into what is saved."""
    train_conditioner: bool = False
    """Whether the conditioner (a text encoder, a table of classes) learns with the denoiser."""
    cache_text: bool = False
    """Whether what a frozen conditioner makes of the captions is computed once and stored (0.24 MB each for SD 1.x)."""
    condition_dropout: float = Field(default=0.1, ge=0, le=1)
    """How often an input is replaced by the null condition (arXiv 2207.12598)."""
    attribute_dropout: float = Field(default=0.0, ge=0, le=1)
    """How often each attribute of an input is left free by itself, so that it is learnt alone and in any company."""
    min_snr_gamma: float | None = 5.0
    """Min-SNR weighting (arXiv 2303.09556), with SNR + 1 for v-prediction; none weighs every timestep alike."""
    noise_offset: float = 0.0
    """Adds as much noise that is the same all over a channel, so that dark and bright pictures are learnt."""
    shift: float = Field(default=1.0, gt=0)
    """Moves the uniform timesteps towards noise, where the picture is decided (arXiv 2403.03206, equation 23)."""
    guidance: float = Field(default=2.0, ge=0)
    """Guidance of the sample grids."""
    loop: LoopConfig
    optimizer: OptimizerConfig

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.cache_text and self.train_conditioner:
            raise ValueError(
                "cache_text is for a conditioner that stays as it is: set train_conditioner or cache_text, not both"
            )
        return self

    @field_validator("base", mode="before")
    @classmethod
    def _of_its_family(cls, value: Any) -> Any:
        return folders.from_scratch(value) if isinstance(value, Mapping) else value
