"""The same values by fewer operators: what is changed in the copy of a network that is traced.

It knows torch and the layers of diffusers and transformers, not graphs. Shapes: `N` batch, `C` and `O` channels, `H W` pixels.
"""

from __future__ import annotations

import itertools
from typing import cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


class Doubled(nn.Module):
    """Pixels doubled, `first` and `last` applied, nothing between: the same by two smaller convolutions and a shuffle.

    Each of the four pixels of a square is a sum over four squares: its own, and those that its sides and corner touch.
    `summands` gives all of these sums, `adding` only adds them: where a square would lie outside of the image it finds the
    zeros of its padding, as `last` did.
    """

    @torch.no_grad()
    def __init__(self, first: nn.Conv2d, last: nn.Conv2d) -> None:
        """Convolutions of 3 by 3 with padding, the first without bias."""
        super().__init__()
        lies = _taps()
        # Doubled pixels: whichever pixel j k of a square a tap falls on, it reads the same.
        inner = torch.einsum("mide,pdsj,qetk->pqmist", first.weight.float(), lies, lies)
        outer = torch.einsum("omde,adup,bevq->oabuvpqm", last.weight.float(), lies, lies)
        whole = torch.einsum("oabuvpqm,pqmist->oabuvist", outer, inner)
        inputs, outputs = first.in_channels, last.out_channels
        squares = [(a, b, a + down, b + right) for a, b, down, right in itertools.product((0, 1), repeat=4)]
        weight = torch.stack([whole[:, a, b, u, v] for a, b, u, v in squares], 1)  # (O, 16, C, 3, 3)
        ones = torch.zeros(outputs, 2, 2, outputs, len(squares), 3, 3)
        for index, (a, b, u, v) in enumerate(squares):
            ones[range(outputs), a, b, range(outputs), index, u, v] = 1
        self.summands = nn.Conv2d(inputs, 16 * outputs, 3, padding=1, bias=False)
        self.summands.weight.copy_(weight.reshape(-1, inputs, 3, 3))
        self.adding = nn.Conv2d(16 * outputs, 4 * outputs, 3, padding=1)
        self.adding.weight.copy_(ones.reshape(4 * outputs, -1, 3, 3))
        bias = torch.zeros(outputs) if last.bias is None else last.bias
        cast(nn.Parameter, self.adding.bias).copy_(bias.repeat_interleave(4))
        self.shuffle = nn.PixelShuffle(2)
        self.to(first.weight)

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)` → `(N, O, 2 H, 2 W)`."""
        return cast(Tensor, self.shuffle(self.adding(self.summands(features))))


def simplify(network: nn.Module) -> None:
    """Put layers of fewer operators in the place of others. The gate compares the graphs with the network as it was."""
    for part in list(network.modules()):
        if isinstance(part, PreTrainedModel):
            # Written out: with torch's own attention the exporter guards against rows that see nothing, and runtimes
            # then recognise no attention (OpenVINO: 0.2 of 4.3 ms of an emoji).
            part.set_attn_implementation("eager")
        for name, child in part.named_children():
            layers = [*child] if isinstance(child, nn.Sequential) else []
            match layers[-3:]:
                # A decoder without a block at the last size (AutoencoderTiny). A fifth of the products there stays.
                case [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(bias=None) as first, nn.Conv2d() as last]:
                    if all(_keeps_size(layer) for layer in (first, last)):
                        setattr(part, name, nn.Sequential(*layers[:-3], Doubled(first, last)))


def _keeps_size(layer: nn.Conv2d) -> bool:
    """Whether it is the convolution that `Doubled` knows: 3 by 3, with a padding of zeros, of all channels."""
    plain = (layer.stride, layer.dilation, layer.groups, layer.padding_mode) == ((1, 1), (1, 1), 1, "zeros")
    return plain and layer.kernel_size == (3, 3) and layer.padding == (1, 1)


def _taps() -> Tensor:
    """`[a, d, u, p]`: seen from pixel `a` of a square, tap `d` of three falls on pixel `p` of square `u` of three."""
    lies = torch.zeros(2, 3, 3, 2)
    for a in (0, 1):
        for d in range(3):
            u, p = divmod(a + d + 1, 2)
            lies[a, d, u, p] = 1
    return lies
