"""`image-text-to-text`: what a picture shows, a text means, or both, is said; it knows no network, no HTTP and no page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from base.errors import BadInput
from models.labels import Input, Seen, Wish
from models.tasks.image_to_text import ImageToText
from models.tasks.text_to_image import TextToImage


class ImageTextToText(TextToImage):
    """Says what a picture shows, or says a text otherwise."""

    name = "image-text-to-text"
    covers = (ImageToText.name,)
    images = ("image",)
    direct_inputs = ("image_embeds", "mix")
    fused = ImageToText.fused
    required = False
    output = "text"
    does, action, verb = "says what a picture shows or a text means", "Write a caption", "Say"

    def parse(self, value: object) -> Input:
        """A text to say otherwise, or what is seen and read, as it is. BadInput: anything else."""
        return value if isinstance(value, Seen | Wish) else super().parse(value)

    def text(self, input: Input) -> str:
        """The text that is said otherwise."""
        return input.prompt if isinstance(input, Wish) else "" if isinstance(input, Seen) else str(input)

    def joined(self, input: Input, further: Mapping[str, Any]) -> Input:
        """A picture, a text, or both half and half. BadInput: neither."""
        image, prompt = further.get("image"), str(input)
        if image is None and not prompt.strip():
            raise BadInput("nothing to write about; accepted: image, prompt, or both")
        return Wish(prompt, content=image)


TASK = ImageTextToText
