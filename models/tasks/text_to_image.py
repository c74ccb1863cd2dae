"""`text-to-image`: a text is drawn; it knows no network, no HTTP and no page."""

from __future__ import annotations

from base.errors import BadInput
from models.controls import TextBox
from models.labels import Input
from models.task import InputField, Task, in_turn


class TextToImage(Task):
    """Draws what a text says."""

    name = "text-to-image"
    field = InputField("prompt", str, "What to draw; empty: whatever the seed gives.")
    tokenized = True
    does, action, verb = "draws what a text says", "Draw", "Type"

    def parse(self, value: object) -> Input:
        """A prompt, as it is; of blanks alone, the null condition. BadInput: it is no text."""
        if not isinstance(value, str):
            raise BadInput(f"a prompt must be text, got {value!r:.40}")
        if not value.strip():
            return ""
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise BadInput("prompt holds half of a surrogate pair, which is no text")
        return value

    def examples(self, count: int) -> list[Input]:
        return in_turn(
            ("a cat", "a red heart", "an apple on blue", "a smiling face", "a tree", "", "two dogs", "the sun"), count
        )

    def suggestions(self) -> list[str]:
        """Captions of the model's own set: those of another would be drawn as something else."""
        return [*self.vocabulary.captions]

    def unsuggested(self) -> str:
        return "" if self.vocabulary.captions else "No examples: this model does not say which captions it learnt from."

    def control(self) -> TextBox:
        return TextBox("Prompt", placeholder="what to draw")


TASK = TextToImage
