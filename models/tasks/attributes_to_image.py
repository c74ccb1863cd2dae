"""`attributes-to-image`: several attributes are drawn, each of its own weight; it knows no network, no HTTP and no page.

Shapes: `A` attributes.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from models.attributes import HEAVIEST, attribute_examples, attribute_text, attribute_weights
from models.controls import Pickers
from models.labels import Input
from models.task import InputField, Task

Weight = Annotated[float, Field(json_schema_extra={"minimum": 0, "maximum": HEAVIEST})]

EXAMPLES = 7
"""So many texts to try are shown on a page."""


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


TASK = AttributesToImage
