"""What a denoiser takes besides sample and timestep; it knows nothing about where the arrays come from.

Shapes: `N` batch, `S` tokens, `T` tokens of a picture, `D` width, `A` attributes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Conditioning:
    """Optional named arrays; but for `weights`, the field names are the input names of the exported denoiser graph."""

    encoder_hidden_states: Any | None = None  # (N, S, D)
    text_embeds: Any | None = None  # (N, D)
    time_ids: Any | None = None  # (N, 6)
    encoder_attention_mask: Any | None = None  # (N, S), 1 where there is text, 0 where it is padded
    image_embeds: Any | None = None  # (N, T, D): pictures in the text's own space
    mix: Any | None = None  # (N,): share of the text, where text and pictures condition together
    weights: Any | None = None
    """`(N, A)`: weights of the conditions that guidance composes; no denoiser takes them."""

    def arrays(self) -> dict[str, Any]:
        """What the denoiser takes, by the names of its inputs."""
        return {name: array for name, array in self._present().items() if name != "weights"}

    def last_token(self) -> Any:
        """The text in one row a sample `(N, D)`: the last hidden state, which in a causal encoder has seen all others."""
        assert self.encoder_hidden_states is not None
        return self.encoder_hidden_states[:, -1]

    def map(self, function: Any) -> Conditioning:
        """A conditioning with `function` applied to every array that is there, `weights` among them; shapes are up to it."""
        return Conditioning(**{name: function(array) for name, array in self._present().items()})

    def _present(self) -> dict[str, Any]:
        present = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in present.items() if array is not None}
