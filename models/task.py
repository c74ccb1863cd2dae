"""Tasks in Hugging Face's words: what a request holds, what the conditioner takes of it, how it is shown, what comes out.

One class a task, and nobody else branches on a task's name. It knows no network, no HTTP and no page, and needs no torch.
Shapes: `N` batch, `S` tokens, `A` attributes.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol

from pydantic import Field

from base.config import nearest
from base.errors import BadInput
from models.attributes import HEAVIEST, Slots, attribute_examples, attribute_text, attribute_weights
from models.controls import Choice, Control, Pickers, TextBox
from models.labels import Input, Seen, Wish, class_id

ConditionerInput = Literal["input_ids", "weights", "image_embeds", "column"]
"""Inputs of the conditioner's graph: ids `(N, S)` int64, weights `(N, A)` float32, tokens of pictures `(N, T, D)` float32,
kinds of caption `(N,)` int64."""

DirectInput = Literal["image_embeds", "mix"]
"""Inputs of the denoiser that a request gives as they are: tokens of pictures, the text's share `(N,)` float32."""

Weight = Annotated[float, Field(json_schema_extra={"minimum": 0, "maximum": HEAVIEST})]

EXAMPLES = 7
"""So many texts to try are shown on a page."""


@dataclass(frozen=True)
class Vocabulary:
    """The names that one model knows."""

    classes: tuple[str, ...] = ()
    """Names of the labels, in the order of their numbers."""
    slots: Slots = dataclasses.field(default_factory=dict)
    """Slot → attributes that exclude each other in it, in the order of their weights."""


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

    A new task is a subclass, entered in `TASKS`. `""` is an input of every task: it stands for the null condition.
    """

    vocabulary: Vocabulary = Vocabulary()

    name: ClassVar[str]
    """As Hugging Face calls it."""
    field: ClassVar[InputField | None]
    """What a request holds besides its seed; None: nothing."""
    images: ClassVar[tuple[str, ...]] = ()
    """Further keys of a request, which hold a picture each, in base64."""
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
        """Texts to try on a page, where the model's card names none; none at all: nothing is suggested."""
        return []

    def control(self) -> Control:
        """What a page shows for the input."""
        return Control()


class TextToImage(Task):
    """Draws what a text says."""

    name = "text-to-image"
    field = InputField("prompt", str, "What to draw; empty: whatever the seed gives.")
    tokenized = True
    does, action, verb = "draws what a text says", "Draw", "Type"

    def parse(self, value: object) -> str:
        """A prompt, as it is; of blanks alone, the null condition. BadInput: it is no text."""
        if not isinstance(value, str):
            raise BadInput(f"a prompt must be text, got {value!r:.40}")
        if not value.strip():
            return ""
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise BadInput("prompt holds half of a surrogate pair, which is no text")
        return value

    def examples(self, count: int) -> list[Input]:
        return _round(
            ("a cat", "a red heart", "an apple on blue", "a smiling face", "a tree", "", "two dogs", "the sun"), count
        )

    def suggestions(self) -> list[str]:
        return [
            "face with tears of joy",
            "red heart",
            "panda on green",
            "strawberry on pink",
            "smiling cat with heart eyes",
            "unicorn on purple",
            "renard sur fond bleu",
        ]

    def control(self) -> TextBox:
        return TextBox("Prompt", placeholder="what to draw")


class ClassToImage(Task):
    """Draws one of the classes that a model knows."""

    name = "class-to-image"
    field = InputField("label", int | str, "What to draw: a class's number from 0, or its name; empty: any.")
    does, action, verb = "knows classes", "Draw a class", "Choose"

    def parse(self, value: object) -> str:
        """A label's number or name → its name; nothing: the null condition. BadInput: no such class."""
        if value == "":
            return ""
        return self.vocabulary.classes[class_id(value, self.vocabulary.classes)]

    def row(self, input: Input) -> list[int]:
        """The class's number; that after the last is the null condition's."""
        return [class_id(input, self.vocabulary.classes)]

    def examples(self, count: int) -> list[Input]:
        return _round(self.vocabulary.classes, count)

    def control(self) -> Choice:
        return Choice("Label", self.vocabulary.classes)


class AttributesToImage(Task):
    """Draws several attributes at once, each of its own weight."""

    name = "attributes-to-image"
    field = InputField(
        "attributes",
        dict[str, Weight] | str,
        'What to draw: weights of attributes by name, `{"Zombie": 1, "Cap": 2.0}`, or as text, `Zombie, Cap=2`; at most one '
        "of\neach slot. What is not named, or has weight 0, is left free.",
    )
    conditioner_inputs = ("weights",)
    required = False
    does, action, verb = "composes attributes", "Draw attributes, each of its own weight", "Compose"

    def parse(self, value: object) -> dict[str, float]:
        """Weights by name in the order of the slots, without those that are left free. BadInput: as `attribute_weights`."""
        names = [name for slot in self.vocabulary.slots.values() for name in slot]
        weights = attribute_weights(value, self.vocabulary.slots)
        return {name: weight for name, weight in zip(names, weights, strict=True) if weight}

    def row(self, input: Input) -> list[float]:
        """The weight of every attribute that the model knows, 0 for those that are left free."""
        return attribute_weights(input, self.vocabulary.slots)

    def text(self, input: Input) -> str:
        """`Zombie, Cap=2`, without what is left free; text is left as it is."""
        return input if isinstance(input, str) else attribute_text(self.row(input), self.vocabulary.slots)

    def examples(self, count: int) -> list[Input]:
        return [*attribute_examples(self.vocabulary.slots, count)]

    def suggestions(self) -> list[str]:
        return [*dict.fromkeys(", ".join(names) for names in attribute_examples(self.vocabulary.slots, EXAMPLES))]

    def control(self) -> Pickers:
        return Pickers("Attributes", self.vocabulary.slots)


class UnconditionalImageGeneration(Task):
    """Draws whatever its seed gives."""

    name = "unconditional-image-generation"
    field = None
    required = False
    does, action, verb = "draws without being asked for anything", "Draw", "Turn the dice"

    def parse(self, value: object) -> str:
        """The empty input, whatever the field holds."""
        return ""

    def row(self, input: Input) -> list[int]:
        """The null condition, whose row is the only one."""
        return [0]

    def examples(self, count: int) -> list[Input]:
        return [""] * count


class ImageTextToImage(TextToImage):
    """Draws what a text and pictures say together: the content of one, the style of another."""

    name = "image-text-to-image"
    images = ("content", "style")
    further = (InputField("mix", float, "Share of the prompt beside the pictures, 0 to 1; by default half."),)
    direct_inputs = ("image_embeds", "mix")
    fused = "variation.onnx"
    required = False
    does, action, verb = "draws what a text and pictures say", "Draw", "Type"

    def text(self, input: Input) -> str:
        """The prompt of a wish."""
        return input.prompt if isinstance(input, Wish) else str(input)

    def joined(self, input: Input, further: Mapping[str, Any]) -> Input:
        """The wish. BadInput: nothing is said at all, a style alone, or a mix out of range or of one thing."""
        content, style, mix = (further.get(name) for name in ("content", "style", "mix"))
        prompt = str(input)
        if content is None and style is None and not prompt:
            raise BadInput("nothing to draw; accepted: prompt, content, or one of them with style")
        if content is None and style is not None and not prompt:
            raise BadInput("a style alone says nothing to draw; accepted with it: prompt, content")
        if mix is not None and not 0 <= mix <= 1:  # NaN is out of range too
            raise BadInput(f"mix {mix} is out of range; accepted: 0 to 1")
        if mix is not None and (not prompt or (content is None and style is None)):
            raise BadInput("mix is between a prompt and pictures; one of them is missing")
        return Wish(prompt, content, style, mix)


class ImageToText(Task):
    """Says what a picture shows."""

    name = "image-to-text"
    field = InputField("image", str, "The picture: PNG, JPEG or WebP in base64.")
    images = ("image",)
    further = (InputField("as", str, "Which kind of caption; by default any of those that the model knows."),)
    conditioner_inputs = ("image_embeds", "column")
    fused = "caption.onnx"
    output = "text"
    does, action, verb = "says what a picture shows", "Write a caption", "Say"

    def parse(self, value: object) -> Input:
        """A `Seen` picture, or the null condition. BadInput: anything else."""
        if isinstance(value, Seen) or value == "":
            return value
        raise BadInput(f"a caption needs a picture, got {value!r:.40}")

    def joined(self, input: Input, further: Mapping[str, Any]) -> Input:
        """The picture with the kind of caption. BadInput: a kind that the model does not know."""
        return Seen(further["image"], self.column(str(further.get("as") or "")))

    def column(self, name: str) -> str:
        """A kind of caption, as it is; empty: any. BadInput: the model does not know it."""
        if name and name not in self.vocabulary.classes:
            raise BadInput(f"as '{name:.40}' is unknown; accepted: {', '.join(self.vocabulary.classes)}")
        return name

    def examples(self, count: int) -> list[Input]:
        return [""] * count


TASKS: dict[str, type[Task]] = {
    task.name: task
    for task in (
        TextToImage,
        ClassToImage,
        AttributesToImage,
        UnconditionalImageGeneration,
        ImageTextToImage,
        ImageToText,
    )
}
"""Every task by its name."""


def task_named(name: str) -> type[Task]:
    """A task by its name. BadInput: this version of ippo knows none of that name."""
    if name not in TASKS:
        raise BadInput(f"unknown task '{name}'{nearest(name, TASKS)}")
    return TASKS[name]


def task_of(model: Described) -> Task:
    """The task of a pipeline or of a bundle's manifest, with the names that the model knows. BadInput: as `task_named`."""
    return task_named(model.task)(Vocabulary(tuple(model.classes), model.slots))


def _round(known: Sequence[Input], count: int) -> list[Input]:
    return [known[index % len(known)] for index in range(count)]
