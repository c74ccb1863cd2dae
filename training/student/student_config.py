"""What `ippo train student` is configured by, and which combinations cannot train; it knows no term, only that there are some.

A term's configuration and its reasons to refuse stand in the term's own file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, create_model, field_validator, model_validator

from base.config import Config
from models.reduce import Removal
from training.context_choice import ContextsConfig
from training.lora import OWN_NETWORK, LoraConfig
from training.run.loop_config import LoopConfig
from training.run.optimizer import OptimizerConfig
from training.student.pairs import PairsConfig
from training.student.term import Reals, Term, TermConfig
from training.student.terms import TERMS


class TermlessConfig(Config):
    """A student's configuration but for its terms."""

    run: str
    """Name of the run."""
    teacher: str
    """A run, a diffusers folder, a Hub name or one `.safetensors` file."""
    data: str
    """Folder or name of the image set."""
    captions: list[str] = ["text"]
    """Caption columns; each sample draws one."""
    flow: str | None = None
    """Task of the teacher's flow to distil, where its folder holds several; by default its first."""
    contexts: ContextsConfig | None = None
    """Which contexts pictures are shown with, of a flow that draws from text and pictures."""
    cache_text: bool = False
    """Whether what the teacher's conditioner makes of the captions is computed once and kept (0.24 MB each for SD 1.x)."""
    pairs: PairsConfig = PairsConfig()
    timesteps: dict[int, float] = {999: 1.0}
    """The student's timesteps and how often each is trained."""
    own_outputs: float = Field(default=0.0, ge=0, le=1)
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
    warmup: int = Field(default=500, ge=0)
    """Steps of regression before the other terms."""
    warmup_optimizer: OptimizerConfig
    """The student's in the warm-up."""
    optimizer: OptimizerConfig
    """The student's after the warm-up."""
    loop: LoopConfig

    @field_validator("reduce", mode="before")
    @classmethod
    def _is_removal(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) and value not in get_args(Removal):
            raise ValueError(
                f"accepted are {', '.join(get_args(Removal))}, or keys of the UNet's configuration and their values"
            )
        return value

    @property
    def terms(self) -> Mapping[str, TermConfig]:
        """The configurations of the terms that were chosen, by name, in alphabetical order."""
        return {name: value for name, value in sorted(self) if isinstance(value, TermConfig)}

    @property
    def goes_on(self) -> bool:
        """Whether `start` names an earlier student."""
        return self.start not in ("teacher", "random")

    @property
    def begin(self) -> int:
        """The step at which the generator begins: after the terms' own first steps and the warm-up."""
        return self.warmup + sum(term.steps_before() for term in self.terms.values())

    @property
    def real_source(self) -> Reals:
        """What a batch starts from: what the first term says that says anything, else the data."""
        sources = (term.real_source() for term in self.terms.values())
        return next((source for source in sources if source), "data")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        """Refuses combinations that cannot train, each with its reason."""
        teaching = any(term.teaches() for term in self.terms.values())
        if (self.loop.steps or math.inf) > self.begin and not teaching:
            raise ValueError(f"after the warm-up no term is left: choose one or more of {', '.join(TERMS)}")
        if self.own_outputs and len(self.timesteps) == 1:
            raise ValueError("own_outputs needs a student of several timesteps: its first step starts from noise")
        if self.reduce and self.start == "random":
            raise ValueError("reduce copies blocks that have learnt: start must be teacher or an earlier student")
        if self.lora and (self.reduce or self.start != "teacher"):
            raise ValueError(OWN_NETWORK)
        if self.reduce and not self.begin:
            raise ValueError("a reduced student must be healed: choose healing, or a warmup above 0")
        for term in self.terms.values():
            term.refuse(self)
        return self


def with_terms(terms: Mapping[str, type[Term[Any]]]) -> type[TermlessConfig]:
    """The configuration with a key for every term; 0 and none leave a term out."""
    fields: dict[str, Any] = {}
    for name, term in terms.items():
        kind: Any = term.configuration
        if term.default is None:
            kind = Annotated[kind | None, BeforeValidator(_left_out)]
        else:
            kind = Annotated[kind, BeforeValidator(_without_weight)]
        doc = (term.configuration.__doc__ or "").partition("\n")[0]
        fields[name] = (kind, Field(term.default, description=f"{doc.removesuffix('.')}; none: left out."))
    return create_model("StudentConfig", __base__=TermlessConfig, __doc__="`ippo train student`.", **fields)


def _without_weight(value: Any) -> Any:
    return 0 if value is None else value


def _left_out(value: Any) -> Any:
    return None if isinstance(value, int | float) and not isinstance(value, bool) and value == 0 else value


if TYPE_CHECKING:
    StudentConfig = TermlessConfig
else:
    StudentConfig = with_terms(TERMS)
