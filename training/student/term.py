"""What a term is: one thing that a student learns from, with its configuration, networks, phases and loss.

A file of this package that names a `TERM` is a term, and its name is the configuration's key; nobody else lists it
(`terms.py`). This file knows none of them. Shapes: `N` batch, `C` channels, `h w` latent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import model_validator
from torch import Tensor, nn

from base.config import Config
from models.conditioning import Conditioning
from training.rehearsal import Rehearsal
from training.run.draws import Draws
from training.run.method import Losses
from training.run.optimizer import OptimizerConfig

if TYPE_CHECKING:
    from training.student.batch import Batch, TrainingSet
    from training.student.student_config import StudentConfig
    from training.student.student_network import Student

Reals = Literal["data", "teacher", "both"]
"""What a batch starts from: the data, the guided teacher's samples, or one after the other."""
Target = Literal["data", "teacher"]
"""Where a term leads a student that learns nothing else: to the data, or to its guided teacher's own samples."""


class TermConfig(Config):
    """The configuration of a term; a number alone is its weight."""

    number_is: ClassVar[str] = "weight"

    @model_validator(mode="before")
    @classmethod
    def _weight_or_keys(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float | Mapping | TermConfig):
            raise ValueError("accepted are a weight, or its keys and their values")
        return value

    def refuse(self, student: StudentConfig) -> None:
        """ValueError: a combination with the rest of the student's configuration that cannot train, and why."""

    def steps_before(self) -> int:
        """Steps of its own before the warm-up; every other term begins after them."""
        return 0

    def teaches(self) -> bool:
        """Whether the term has a loss in the generator step."""
        return True

    def real_source(self) -> Reals | None:
        """What the term wants every batch to start from; none: it takes what there is."""
        return None

    def looks_at_pairs(self, student: StudentConfig) -> bool:
        """Whether pairs must be drawn for it: by default where batches start from the teacher's samples."""
        return self.real_source() in ("teacher", "both")

    def rehearse(self, rehearsal: Rehearsal) -> Tensor | None:
        """What its loss computes, on networks without numbers: a scalar that `ippo train student --dry-run` counts."""
        return None


@dataclass(frozen=True)
class TermPhase:
    """One optimizer's part of a step: which weights it moves, by which loss of a batch, from and up to which step."""

    name: str
    parameters: Sequence[nn.Parameter]
    optimizer: OptimizerConfig
    loss: Callable[[Batch], Losses]
    start: int = 0
    stop: int | None = None


C = TypeVar("C", bound=TermConfig)


class Term(Generic[C]):
    """One thing that a student learns from. A term overrides what it has; the rest has a default."""

    configuration: ClassVar[type[TermConfig]]
    """The class of `config`."""
    default: ClassVar[TermConfig | None] = None
    """The configuration where none is given; none: the term is left out."""
    leads_to: ClassVar[Target] = "teacher"
    """What a student is judged by: its distance to the data, unless all of its terms lead to the teacher."""

    def __init__(self, config: C, student: Student) -> None:
        """Open the networks that the term needs; cheap. BadInput: what `config` asks for is not there."""
        self.config, self.student, self.teacher = config, student, student.teacher
        self.modules: Mapping[str, nn.Module] = {}
        """Networks of its own that are trained, and saved in checkpoints."""

    def prepare(self, samples: TrainingSet) -> None:
        """Do what takes long and must be done before the first step."""

    def phases(self, begin: int) -> Sequence[TermPhase]:
        """Its own optimizers' parts of a step; `begin`: the step at which the warm-up is over and the generator begins."""
        return ()

    def loss(self, batch: Batch) -> Tensor | None:
        """Its weighted, scalar loss in the generator step; none: the term has phases alone."""
        return None

    def figures(self, real: Tensor, fake: Tensor, conditioning: Conditioning, draws: Draws) -> Mapping[str, float]:
        """What is watched of it at a validation, by name: on images and the student's samples `(N, C, h, w)`."""
        return {}

    def warnings(self, figures: Mapping[str, float]) -> Sequence[str]:
        """One line for everything in a validation's figures that looks wrong and that the term can turn."""
        return ()
