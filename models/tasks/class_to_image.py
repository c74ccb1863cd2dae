"""`class-to-image`: one of the classes that a model knows is drawn; it knows no network, no HTTP and no page."""

from __future__ import annotations

from models.controls import Choice
from models.labels import Input, class_id
from models.task import InputField, Task, in_turn


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
        return in_turn(self.vocabulary.classes, count)

    def control(self) -> Choice:
        return Choice("Label", self.vocabulary.classes)


TASK = ClassToImage
