"""What a student's run is told, and which combinations cannot train; how it trains is `add.py`."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

from pydantic import model_validator

from base.config import Config
from models.reduce import Removal
from training.lora import LoraConfig
from training.run.loop_config import LoopConfig
from training.run.optimizer import OptimizerConfig
from training.student.adversarial import AdversarialConfig
from training.student.distillation import DistillationConfig
from training.student.healing import HealingConfig
from training.student.matching import MatchingConfig
from training.student.pairs import PairsConfig


class StudentConfig(Config):
    """`ippo train student`."""

    run: str
    """Name of the run."""
    teacher: str
    """A run, a diffusers folder, a Hub name or one `.safetensors` file."""
    data: str
    """Folder or name of the image set."""
    captions: list[str] = ["text"]
    """Caption columns; each sample draws one."""
    cache_text: bool = False
    """Whether what the teacher's conditioner makes of the captions is computed once and kept (0.24 MB each for SD 1.x)."""
    pairs: PairsConfig = PairsConfig()
    timesteps: dict[int, float] = {999: 1.0}
    """The student's timesteps and how often each is trained."""
    own_outputs: float = 0.0
    """How often a later step starts from what the student's own steps before it drew, not from a real."""
    prediction: Literal["v_prediction"] | None = None
    """What the student predicts; none: as the teacher. An epsilon teacher's student learns v in the warm-up."""
    start: str = "teacher"
    """Where the student's weights come from: `teacher`, an earlier student to go on from (a run, a diffusers folder, a Hub
    name, such as SD-Turbo), or `random`, the paper's ablation and not a way to work."""
    reduce: Removal | dict[str, Any] = {}
    """A published removal, or changes to the UNet's configuration: of what the student starts from, these blocks stay."""
    lora: LoraConfig | None = None
    """The student is the teacher and an adapter that alone learns; it is merged into what is saved."""
    healing: HealingConfig | None = None
    """Distillation of a reduced student from its teacher, before the warm-up; none: the warm-up alone heals."""
    warmup: int = 500
    """Steps of regression before the other terms."""
    warmup_optimizer: OptimizerConfig
    """The student's in the warm-up."""
    optimizer: OptimizerConfig
    """The student's after the warm-up."""
    regression: float = 1.0
    """Weight of the warm-up's regression after the warm-up."""
    adversarial: AdversarialConfig | None = None
    """The adversarial game; none: left out."""
    distillation: DistillationConfig | None = None
    """ADD's distillation term; none: left out."""
    matching: MatchingConfig | None = None
    """Distribution matching; none: left out."""
    loop: LoopConfig

    @property
    def goes_on(self) -> bool:
        """Whether `start` names an earlier student."""
        return self.start not in ("teacher", "random")

    @property
    def begin(self) -> int:
        """Steps of healing and warm-up, after which everything else begins."""
        return self.warmup + (self.healing.steps if self.healing else 0)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        """Refuses combinations that cannot train, each with its reason."""
        game = self.adversarial
        terms = [game and game.weight, self.distillation, self.matching, self.regression]
        if (self.loop.steps or math.inf) > self.begin and not any(terms):
            raise ValueError(
                "after the warm-up no term is left: choose adversarial, distillation, matching or regression"
            )
        if self.own_outputs and len(self.timesteps) == 1:
            raise ValueError("own_outputs needs a student of several timesteps: its first step starts from noise")
        if self.reduce and self.start == "random":
            raise ValueError("reduce copies blocks that have learnt: start must be teacher or an earlier student")
        if self.lora and (self.reduce or self.healing or self.start != "teacher"):
            raise ValueError(
                "a lora student is the teacher's own network: it can neither be reduced or healed nor start elsewhere"
            )
        if self.reduce and not self.begin:
            raise ValueError("a reduced student must be healed: choose healing, or a warmup above 0")
        if game is None:
            return self
        if game.game == "hinge" and self.loop.batch == 1:
            raise ValueError("hinge with a batch of 1 is degenerate: the discriminator sees one side at a time")
        if game.told == "text and image" and game.features == "teacher":
            raise ValueError(
                "adversarial.told: the image embedding comes from a vision transformer, not from the teacher"
            )
        if game.balance and not (self.regression or self.distillation or self.matching):
            raise ValueError("adversarial.balance needs another term to balance against")
        return self
