"""`image-text-to-image`: what a text and pictures say together is drawn; it knows no network, no HTTP and no page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from base.errors import BadInput
from models.labels import Input, Wish
from models.task import InputField
from models.tasks.text_to_image import TextToImage


class ImageTextToImage(TextToImage):
    """Draws what a text and pictures say together: the content of one, the style of another."""

    name = "image-text-to-image"
    images = varied = ("content", "style")
    further = (
        InputField("mix", float, "Share of the prompt beside the pictures, 0 to 1; by default half."),
        InputField(
            "focus", float, "A picture's content (0), style (1) or both (0.5); of a style beside a content the reverse."
        ),
    )
    direct_inputs = ("image_embeds", "mix")
    fused = "variation.onnx"
    required = False
    does, action, verb = "draws what a text and pictures say", "Draw", "Type"

    def text(self, input: Input) -> str:
        """The prompt of a wish."""
        return input.prompt if isinstance(input, Wish) else str(input)

    def joined(self, input: Input, further: Mapping[str, Any]) -> Input:
        """The wish. BadInput: nothing is said at all, a style alone, a mix of one thing, a focus that is none, out of range."""
        content, style, mix, focus = (further.get(name) for name in ("content", "style", "mix", "focus"))
        prompt = str(input)
        if content is None and style is None and not prompt:
            raise BadInput("nothing to draw; accepted: prompt, content, or one of them with style")
        if content is None and style is not None and not prompt:
            raise BadInput("a style alone says nothing to draw; accepted with it: prompt, content")
        if mix is not None and not 0 <= mix <= 1:  # NaN is out of range too
            raise BadInput(f"mix {mix} is out of range; accepted: 0 to 1")
        if mix is not None and (not prompt or (content is None and style is None)):
            raise BadInput("mix is between a prompt and pictures; one of them is missing")
        if focus is not None and not 0 <= focus <= 1:
            raise BadInput(f"focus {focus} is out of range; accepted: 0 (content) to 1 (style)")
        if focus is not None and content is None and style is None:
            raise BadInput("focus is of a picture, and there is none; accepted with it: content, style")
        if focus is not None and not self.vocabulary.local_tokens:
            raise BadInput(
                "focus is not offered: this model sees a picture as a few tokens; accepted: content, style, mix"
            )
        return Wish(prompt, content, style, mix, focus)


TASK = ImageTextToImage
