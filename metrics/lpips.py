"""LPIPS, a learned distance between two images (arXiv 1801.03924); it knows no generator.

AlexNet's or VGG16's convolutions and five linear heads. Shapes: `N` batch, `C` channels, `h w` maps, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from base.errors import BadInput
from metrics import weights
from models.pixel_tensors import from_uint8

KIND = "lpips"
LEAST = 64
"""Shorter edges are enlarged to this: AlexNet's maps of anything below 32 pixels are empty."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""ImageNet's mean and deviation for images in [−1, 1], as LPIPS rounds them."""

ALEX = ((11, 4, 2), "pool", (5, 1, 2), "pool", (3, 1, 1), (3, 1, 1), (3, 1, 1))
VGG = (*((3, 1, 1), (3, 1, 1), "pool") * 2, *((3, 1, 1), (3, 1, 1), (3, 1, 1), "pool") * 2, *((3, 1, 1),) * 3)
LAYOUTS: Mapping[str, Sequence[tuple[int, int, int] | str]] = {"alex": ALEX, "vgg": VGG}
"""(kernel, stride, padding) of each convolution with its ReLU; pools are 3/2 in AlexNet and 2/2 in VGG16."""
POOLS = {"alex": (3, 2), "vgg": (2, 2)}
TAPS = {"alex": (0, 1, 2, 3, 4), "vgg": (1, 3, 6, 9, 12)}
"""Convolutions whose ReLU is compared, counted from 0."""


class Lpips(nn.Module):
    """Two images → a distance. The widths are those of the weights, names torchvision's: `features.0.weight`, `lin0.weight`."""

    def __init__(self, trunk: str, widths: Sequence[int]) -> None:
        super().__init__()
        self.trunk, self.features, inputs = trunk, nn.Sequential(), 3
        following = iter(widths)
        for step in LAYOUTS[trunk]:
            if isinstance(step, str):
                self.features.append(nn.MaxPool2d(*POOLS[trunk]))
                continue
            kernel, stride, padding = step
            width = next(following)
            self.features.append(nn.Conv2d(inputs, width, kernel, stride, padding)).append(nn.ReLU())
            inputs = width
        for head, tap in enumerate(TAPS[trunk]):
            self.add_module(f"lin{head}", nn.Conv2d(widths[tap], 1, 1, bias=False))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` in [−1, 1] → `(N,)` (equation 1): heads over squared differences of unit columns."""
        distance = first.new_zeros(len(first))
        for head, (one, other) in enumerate(zip(self.maps(first), self.maps(second), strict=True)):
            weigh = self.get_submodule(f"lin{head}")
            distance = distance + weigh((one - other).square()).mean(dim=(1, 2, 3))
        return distance

    def maps(self, images: Tensor) -> list[Tensor]:
        """Images `(N, 3, H, W)` in [−1, 1] → the five maps `(N, C, h, w)`, each column scaled to length 1."""
        maps = (_enlarged(images) - images.new_tensor(SHIFT).view(1, 3, 1, 1)) / images.new_tensor(SCALE).view(
            1, 3, 1, 1
        )
        outputs: list[Tensor] = []
        for module in self.features:
            maps = module(maps)
            if isinstance(module, nn.ReLU):
                outputs.append(maps)
        return [_unit(outputs[tap]) for tap in TAPS[self.trunk]]


def _enlarged(images: Tensor) -> Tensor:
    short = min(images.shape[2:])
    if short >= LEAST:
        return images
    height, width = (-(-side * LEAST // short) for side in images.shape[2:])
    return functional.interpolate(images, (height, width), mode="bilinear", align_corners=False)


def _unit(maps: Tensor) -> Tensor:
    return maps / (maps.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)


@torch.no_grad()
def diversity(network: Lpips, images: NDArray[np.uint8]) -> float:
    """Mean distance between two seeds of a prompt: images `(P, N, H, W, 3)` of P prompts under N seeds each."""
    assert images.ndim == 5 and images.shape[1] >= 2, "diversity needs several images of each prompt"
    distances = []
    for group in images:
        pixels = from_uint8(group)
        first, second = (torch.tensor(indices) for indices in zip(*combinations(range(len(group)), 2), strict=True))
        distances.append(network(pixels[first], pixels[second]).mean())
    return float(torch.stack(distances).mean())


def convert(trunk_file: Path, heads_file: Path, folder: Path) -> None:
    """torchvision's AlexNet or VGG16 file and LPIPS's file of heads → a folder. BadInput names what does not fit."""
    given = {name: value for name, value in weights.foreign(trunk_file).items() if name.startswith("features.")}
    heads = weights.foreign(heads_file)
    given |= {name.replace(".model.1.", "."): value for name, value in heads.items()}
    trunk = _trunk_of(given, trunk_file)
    network = Lpips(trunk, _widths(given))
    tensors = weights.fitting(given, network.state_dict(), f"{trunk_file} with {heads_file}")
    weights.write(folder, {"kind": KIND, "trunk": trunk, "source": trunk_file.name}, tensors)


def load(folder: Path) -> Lpips:
    """Open a converted folder. BadInput: none there, or a damaged one."""
    config, tensors = weights.read(folder, KIND)
    if config.get("trunk") not in LAYOUTS:
        raise BadInput(f"{folder}: trunk {config.get('trunk')!r} is not one of {', '.join(LAYOUTS)}")
    network = Lpips(config["trunk"], _widths(tensors))
    network.load_state_dict(weights.fitting(tensors, network.state_dict(), folder))
    return network.eval()


def _convolutions(tensors: Mapping[str, Tensor]) -> list[str]:
    names = [name for name in tensors if name.startswith("features.") and name.endswith(".weight")]
    return sorted(names, key=lambda name: int(name.split(".")[1]))


def _widths(tensors: Mapping[str, Tensor]) -> list[int]:
    return [len(tensors[name]) for name in _convolutions(tensors)]


def _trunk_of(tensors: Mapping[str, Tensor], where: Path) -> str:
    by_count = {sum(not isinstance(step, str) for step in layout): trunk for trunk, layout in LAYOUTS.items()}
    count = len(_convolutions(tensors))
    if count not in by_count:
        raise BadInput(f"{where} has {count} convolutions below features.: AlexNet has 5, VGG16 13")
    return by_count[count]
