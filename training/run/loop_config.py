"""How long a run is, how much it takes at once, how often it reports; it knows nothing about what is trained."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from base.config import Config

MOST = 10**9
"""More steps, or samples at once, than anybody trains."""
Precision = Literal["no", "bf16", "fp16", "auto"]


class LoopConfig(Config):
    """How long, how much at once, how often."""

    steps: int | None = Field(default=None, ge=1, le=MOST)
    """Optimizer steps; or `epochs` in their place."""
    epochs: int | None = Field(default=None, ge=1, le=MOST)
    """How often every sample of the training split is seen."""
    batch: int = Field(default=64, ge=1, le=MOST)
    """Global batch size."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Every random number of the run derives from it."""
    precision: Precision = "no"
    """Mixed precision of the forward pass; `fp16` scales the loss, on a GPU that has no bf16. `auto`: bf16 where the device
    multiplies it faster."""
    attention: Literal["auto", "math"] = "auto"
    """`math` for short sequences on a CPU, where the backward of torch's own choice took 29 % of a teacher's step."""
    ema: float = Field(default=0.999, ge=0, le=1)
    """Decay of the weight average."""
    balance: Annotated[float, Field(ge=0, le=1)] | None = None
    """How far samples of rare names come more often in batches, and in a student's pairs: each by the count of its rarest name
    to the power −balance. None: 1 where the inputs are attributes, 0 elsewhere."""
    log_every: int = Field(default=20, ge=1)
    """Steps between two lines of metrics."""
    validate_every: Annotated[int, Field(ge=1)] | Literal["epoch"] = 500
    """Steps between two validations, or `epoch`; the best is kept by its `score` (lower is better)."""
    checkpoint_minutes: float = Field(default=4.0, ge=0)
    """Minutes between two checkpoints."""
    accumulate: int = Field(default=1, ge=1)
    """Parts that a batch goes through in, one after the other, where all of it takes too much memory."""
    checkpointing: bool = False
    """Whether activations are computed again in the backward, for less memory and a third more time."""
    frozen: Literal["no", "bf16"] = "no"
    """Precision of the weights that no gradient moves: a teacher beside its student, the moving average."""
    last: bool = False
    """Whether the last model is written too, as `RUN/last`; the best always is."""
    snapshots: bool = False
    """Whether the model of every validation is kept, as `RUN/snapshots/STEP`: what a curve of quality is drawn from."""

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.batch % self.accumulate:
            raise ValueError(f"accumulate={self.accumulate} must divide batch={self.batch}")
        if self.frozen == "bf16" and self.precision != "bf16":
            raise ValueError("frozen: bf16 needs precision: bf16")
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give steps or epochs, one of them")
        return self

    def length(self, size: int) -> int:
        """Optimizer steps over `size` training samples."""
        return self.steps if self.steps is not None else -(-(self.epochs or 0) * size // self.batch)

    def validates(self, step: int, size: int) -> bool:
        """Whether `step` steps are a place to validate at: by their number, or since an epoch ended with the last."""
        if self.validate_every == "epoch":
            return step * self.batch // size > (step - 1) * self.batch // size
        return step % self.validate_every == 0
