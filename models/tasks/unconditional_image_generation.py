"""`unconditional-image-generation`: whatever the seed gives is drawn; it knows no network, no HTTP and no page."""

from __future__ import annotations

from models.labels import Input
from models.task import Task


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


TASK = UnconditionalImageGeneration
