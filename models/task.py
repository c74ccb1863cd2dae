"""Tasks in Hugging Face's words: what a request holds, what the conditioner takes of it, how it is shown, what comes out.

Each is a file of `tasks/`, and nobody else branches on a task's name. It knows no network, no HTTP and no page, and needs no
torch.
Shapes: `N` batch, `S` tokens, `A` attributes.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal, Protocol

from base.config import nearest
from base.errors import BadInput
from models import tasks
from models.attributes import Slots
from models.controls import Control
from models.labels import Input

ConditionerInput = Literal["input_ids", "weights", "image_embeds", "column"]
"""Inputs of the conditioner's graph: ids `(N, S)` int64, weights `(N, A)` float32, tokens of pictures `(N, T, D)` float32,
kinds of caption `(N,)` int64."""

DirectInput = Literal["image_embeds", "mix"]
"""Inputs of the denoiser that a request gives as they are: tokens of pictures, the text's share `(N,)` float32."""


@dataclass(frozen=True)
class Vocabulary:
    """The names that one model knows."""

    classes: tuple[str, ...] = ()
    """Names of the labels, in the order of their numbers."""
    slots: Slots = dataclasses.field(default_factory=dict)
    """Slot → attributes that exclude each other in it, in the order of their weights."""
    local_tokens: bool = False
    """Whether it sees a picture as a class token and its patches, of which style can be told from content."""
    captions: tuple[str, ...] = ()
    """A few captions of the set that it learnt; none: nobody knows which set that was."""


class Described(Protocol):
    """A pipeline or a bundle's manifest: the name of its task, and the names it knows."""

    @property
    def task(self) -> str: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def slots(self) -> Mapping[str, tuple[str, ...]]: ...


@dataclass(frozen=True)
class InputField:
    """The key of a request that holds what is to be drawn."""

    name: str
    """The same in bodies, provenance and the manifest's `inputs`."""
    type: Any
    """As pydantic takes it. It takes text as well: other dialects, live sockets and the command line give nothing else."""
    doc: str


@dataclass(frozen=True)
class Task(ABC):
    """What a model is for. The class says it of every model of the task; an instance knows one model's names as well.

    A new task is a file of `tasks/`, named as the task is, whose `TASK` is a subclass. `""` is an input of every task: it
    stands for the null condition.
    """

    vocabulary: Vocabulary = Vocabulary()

    name: ClassVar[str]
    """As Hugging Face calls it."""
    covers: ClassVar[tuple[str, ...]] = ()
    """Names of further tasks that a model of this one does as well: it is found by them too."""
    field: ClassVar[InputField | None]
    """What a request holds besides its seed; None: nothing."""
    images: ClassVar[tuple[str, ...]] = ()
    """Further keys of a request, which hold a picture each, in base64."""
    varied: ClassVar[tuple[str, ...]] = ()
    """Those of them that all hold the picture of which a variation is wanted; none: it makes no variations."""
    further: ClassVar[tuple[InputField, ...]] = ()
    """Other further keys; none of them must be given."""
    conditioner_inputs: ClassVar[tuple[ConditionerInput, ...]] = ("input_ids",)
    """What the conditioner takes."""
    direct_inputs: ClassVar[tuple[DirectInput, ...]] = ()
    """What the denoiser takes besides what the conditioner gives."""
    fused: ClassVar[str] = "one_step.onnx"
    """File of the graph that does all of it in one step."""
    tokenized: ClassVar[bool] = False
    """Whether the model's own tokenizer files turn inputs, which are text, into ids; otherwise `row` does."""
    required: ClassVar[bool] = True
    """Whether one is expected to say something: pages wait for it, and OpenAI's clients may not leave it empty."""
    output: ClassVar[Literal["image", "text"]] = "image"
    """What comes out."""
    does: ClassVar[str]
    """What a model of the task does, in the interface's documentation: "a model that …"."""
    action: ClassVar[str]
    """What a request has it do, in the same place."""
    verb: ClassVar[str]
    """What somebody does on the page to have it done."""

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """The keys of a request that hold what is to be drawn, as the manifest's `inputs` lists them."""
        return () if cls.field is None else (cls.field.name,)

    @classmethod
    def further_keys(cls) -> tuple[str, ...]:
        """The other keys of a request that say what is to be done; none of them must be given."""
        own = cls.keys()
        return tuple(name for name in (*cls.images, *(field.name for field in cls.further)) if name not in own)

    @abstractmethod
    def parse(self, value: object) -> Input:
        """What a request's field holds, of the field's type → the input, complete and in its usual form.

        BadInput: one line on what is wrong and what is accepted.
        """

    def joined(self, input: Input, further: Mapping[str, Any]) -> Input:
        """An input and the values of its request's further keys, pictures as `(H, W, 3)` uint8 → the whole input.

        BadInput: one line on what is wrong and what is accepted.
        """
        return input

    def row(self, input: Input) -> Sequence[int] | Sequence[float]:
        """What the conditioner takes of one input, parsed or not: S ids or A weights. BadInput: not an input of this model."""
        raise NotImplementedError(f"inputs of {self.name} are tokenized")

    def text(self, input: Input) -> str:
        """An input, parsed or not, as people read it: in logs, provenance and file names."""
        return str(input)

    def shown(self, input: Input) -> dict[str, str]:
        """The input as text by the name of its field; empty where a request holds none."""
        return {} if self.field is None else {self.field.name: self.text(input)}

    @abstractmethod
    def examples(self, count: int) -> list[Input]:
        """`count` inputs, always the same, going round: what is drawn to test a model."""

    def suggestions(self) -> list[str]:
        """Texts to try on a page; none: nothing is suggested, and `unsuggested` says why."""
        return []

    def unsuggested(self) -> str:
        """What a page says where suggestions would be, where there are none of a model that could have some."""
        return ""

    def control(self) -> Control:
        """What a page shows for the input."""
        return Control()


def task_names() -> list[str]:
    """The names of every task, those of the files of `tasks/`."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(tasks.__path__))


@cache
def task_named(name: str) -> type[Task]:
    """A task by its name. BadInput: this version of ippo knows none of that name."""
    if name not in task_names():
        raise BadInput(f"unknown task '{name}'{nearest(name, task_names())}")
    task: type[Task] = importlib.import_module(f"{tasks.__name__}.{name.replace('-', '_')}").TASK
    return task


def doing(task: str, tasks: Iterable[str]) -> str | None:
    """The name of the first of some tasks that is `task`, else of one that covers it; None: none of them does it."""
    known = list(tasks)
    if task in known:
        return task
    return next((name for name in known if task in task_named(name).covers), None)


def task_of(model: Described) -> Task:
    """The task of a pipeline or of a bundle's manifest, with the names that the model knows. BadInput: as `task_named`."""
    known = {
        name: getattr(model, name) for name in ("local_tokens", "captions") if hasattr(model, name)
    }  # of manifests
    return task_named(model.task)(Vocabulary(tuple(model.classes), model.slots, **known))


def in_turn(known: Sequence[Input], count: int) -> list[Input]:
    """`count` of what is known, always the same, going round."""
    return [known[index % len(known)] for index in range(count)]
