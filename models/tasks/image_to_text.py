"""`image-to-text`: what a picture shows is said; it knows no network, no HTTP and no page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from base.errors import BadInput
from models.labels import Input, Seen, caption_kind
from models.task import InputField, Task


class ImageToText(Task):
    """Says what a picture shows."""

    name = "image-to-text"
    field = InputField("image", str, "The picture: PNG, JPEG or WebP in base64.")
    images = ("image",)
    further = (InputField("as", str, "Which kind of caption; by default the first one; any: each may come."),)
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
        return Seen(further["image"], caption_kind(str(further.get("as") or ""), self.vocabulary.classes))

    def examples(self, count: int) -> list[Input]:
        return [""] * count


TASK = ImageToText
