"""One torch network behind the inputs and outputs of its graph, a class for each kind; it knows nothing about ONNX or files.

Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens, `T` tokens of a picture, `A` attributes, `D` width,
`V` vocabulary.
"""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn

from models.conditioning import Conditioning
from models.task import ConditionerInput, DirectInput
from runtime.signature import NEXT_TOKEN, SIGNATURES


class Component(nn.Module):
    """Floats come in and go out as float32, whatever the network computes in."""

    graph: str
    """Its name in `SIGNATURES`."""

    def __init__(self, network: Any, outputs: tuple[str, ...] = ()) -> None:
        """`outputs`: names of what `forward` gives where it is a tuple of several tensors."""
        super().__init__()
        self.network = network
        self.outputs = outputs or (SIGNATURES[self.graph].output, *SIGNATURES[self.graph].further)

    def narrow(self, array: Tensor) -> Tensor:
        """An array `(N, …)` in the network's own precision, if it has weights."""
        return array.to(next(self.network.parameters(), array).dtype)


class ConditionerGraph(Component):
    """`input_ids (N, S)` → `last_hidden_state (N, S, D)`, or all that the denoiser takes of the conditioner."""

    graph = "conditioner"

    def forward(self, input_ids: Tensor) -> Any:
        return _outputs(self.network(input_ids))


class ComposerGraph(Component):
    """`weights (N, A)` → `last_hidden_state (N, S, D)`."""

    graph = "conditioner"

    def forward(self, weights: Tensor) -> Any:
        return _outputs(self.network(weights))


def _outputs(conditioning: Conditioning) -> Any:
    """The arrays of a conditioning in float32: one tensor, or a tuple of several in the order of their names."""
    arrays = tuple(array.float() for array in conditioning.arrays().values())
    return arrays if len(arrays) > 1 else arrays[0]


class PromptGraph(Component):
    """`input_ids (N, S)` → `last_hidden_state (N, S, D)`, of a conditioner that takes pictures besides."""

    graph = "conditioner"

    def __init__(self, conditioner: Any, outputs: tuple[str, ...] = ()) -> None:
        super().__init__(conditioner.text_encoder, outputs)

    def forward(self, input_ids: Tensor) -> Tensor:
        return cast(Tensor, self.network(input_ids).last_hidden_state.float())


class SeenGraph(Component):
    """`image_embeds (N, T, D)`, `column (N,)` → `last_hidden_state (N, T + 1, D)`."""

    graph = "conditioner"

    def __init__(self, conditioner: Any, outputs: tuple[str, ...] = ()) -> None:
        super().__init__(conditioner.columns, outputs)

    def forward(self, image_embeds: Tensor, column: Tensor) -> Tensor:
        return cast(Tensor, self.network(self.narrow(image_embeds), column).float())


class ImageEncoderGraph(Component):
    """`pixel_values (N, 3, H, W)` → `image_embeds (N, T, D)`."""

    graph = "image_encoder"

    def forward(self, pixel_values: Tensor) -> Tensor:
        return cast(Tensor, self.network(self.narrow(pixel_values)).float())


Takes = tuple[tuple[ConditionerInput, ...], tuple[DirectInput, ...]]
CONDITIONERS: dict[Takes, type[Component]] = {
    (("input_ids",), ()): ConditionerGraph,
    (("weights",), ()): ComposerGraph,
    (("input_ids",), ("image_embeds", "mix")): PromptGraph,
    (("image_embeds", "column"), ()): SeenGraph,
}
"""By what they take, and what the denoiser takes besides."""


class DenoiserGraph(Component):
    """`sample (N, C, h, w)`, `timestep ()` int64, `encoder_hidden_states (N, S, D)`, what else it takes → `(N, C, h, w)`."""

    graph = "denoiser"

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        text_embeds: Tensor | None = None,
        time_ids: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        image_embeds: Tensor | None = None,
        mix: Tensor | None = None,
    ) -> Tensor:
        hidden, added = self.narrow(encoder_hidden_states), {"text_embeds": text_embeds, "time_ids": time_ids}
        added["encoder_attention_mask"] = encoder_attention_mask
        added |= {"image_embeds": None if image_embeds is None else self.narrow(image_embeds), "mix": mix}
        present = {name: array for name, array in added.items() if array is not None}  # the network narrows them itself
        return cast(Tensor, self.network(self.narrow(sample), timestep, hidden, **present).sample.float())


class DecoderGraph(Component):
    """`latent_sample (N, C, h, w)`, not scaled → `(N, 3, H, W)`."""

    graph = "decoder"

    def forward(self, latent_sample: Tensor) -> Tensor:
        return cast(Tensor, self.network.from_latents(self.narrow(latent_sample)).float())


class TokenDecoderGraph(Component):
    """`latent_sample (N, C, 1, S)` → token ids `(N, S)` int64."""

    graph = "decoder"

    def forward(self, latent_sample: Tensor) -> Tensor:
        return cast(Tensor, self.network.from_latents(self.narrow(latent_sample)))


class NextTokenGraph(Component):
    """`latent_sample (N, C, h, w)`, `token_ids (N, 1)`, `position ()`, `past (N, …)` → logits `(N, V)`, new past `(N, …)`."""

    graph = NEXT_TOKEN

    def forward(
        self, latent_sample: Tensor, token_ids: Tensor, position: Tensor, past: Tensor
    ) -> tuple[Tensor, Tensor]:
        logits, present = self.network.next_token(self.narrow(latent_sample), token_ids, position, self.narrow(past))
        return logits.float(), present.float()


DECODERS: dict[str, type[Component]] = {"image": DecoderGraph, "text": TokenDecoderGraph}
"""By what comes out of the task."""


class EncoderGraph(Component):
    """`sample (N, 3, H, W)` → `(N, C, h, w)`, not scaled."""

    graph = "encoder"

    def forward(self, sample: Tensor) -> Tensor:
        return cast(Tensor, self.network.to_latents(self.narrow(sample)).float())
