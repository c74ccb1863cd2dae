"""The InceptionV3 of the FID (arXiv 1512.00567, 1706.08500) as a feature network; it knows no generator.

Of the TensorFlow graph `inception-2015-12-05`, as torch files of it are known: average pools leave the padding out, and
the last block pools by maximum. Shapes: `N` batch, `C` channels, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from base.errors import BadInput
from metrics import weights

KIND = "inception"
SIDE = 299
DROPPED = ("fc.", "AuxLogits.")
"""Of the foreign file: the classifiers, which give no features."""

Pool = Callable[[Tensor], Tensor]
average: Pool = partial(functional.avg_pool2d, kernel_size=3, stride=1, padding=1, count_include_pad=False)
largest: Pool = partial(functional.max_pool2d, kernel_size=3, stride=1, padding=1)
shrink: Pool = partial(functional.max_pool2d, kernel_size=3, stride=2)


@dataclass(frozen=True)
class Layer:
    """A convolution by its name in the foreign file."""

    name: str
    width: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padded: bool = True

    @property
    def padding(self) -> tuple[int, int]:
        """That keeps the size at stride 1, or none."""
        return (self.kernel[0] // 2, self.kernel[1] // 2) if self.padded else (0, 0)


Stage = tuple[Layer, ...]
"""Layers that read the same input; their outputs lie behind one another."""


def chain(*layers: Layer) -> list[Stage]:
    """One layer after the other."""
    return [(layer,) for layer in layers]


class Unit(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, layer: Layer) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, layer.width, layer.kernel, layer.stride, layer.padding, bias=False)
        self.bn = nn.BatchNorm2d(layer.width, eps=1e-3)

    def forward(self, maps: Tensor) -> Tensor:
        """`(N, C, H, W)` → `(N, C', H', W')`."""
        return functional.relu(self.bn(self.conv(maps)))


class Block(nn.Module):
    """Branches side by side over one input, and a pool with or without a convolution after it."""

    def __init__(self, inputs: int, branches: Sequence[list[Stage]], pool: Pool, pooled: int | None) -> None:
        super().__init__()
        after = [] if pooled is None else [chain(Layer("branch_pool", pooled))]
        self.branches, self.after, self.pool = list(branches), after, pool
        for branch in [*self.branches, *self.after]:
            width = inputs
            for stage in branch:
                for layer in stage:
                    self.add_module(layer.name, Unit(width, layer))
                width = sum(layer.width for layer in stage)

    def forward(self, maps: Tensor) -> Tensor:
        """`(N, C, H, W)` → `(N, C', H', W')`."""
        outputs = [self._walk(branch, maps) for branch in self.branches]
        pooled = self.pool(maps)
        return torch.cat([*outputs, self._walk(self.after[0], pooled) if self.after else pooled], dim=1)

    def _walk(self, branch: list[Stage], maps: Tensor) -> Tensor:
        for stage in branch:
            maps = torch.cat([self.get_submodule(layer.name)(maps) for layer in stage], dim=1)
        return maps


class Inception(nn.Module):
    """Images → the 2048 pooled features of the FID."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Unit(3, Layer("", 32, (3, 3), 2, padded=False))
        self.Conv2d_2a_3x3 = Unit(32, Layer("", 32, (3, 3), padded=False))
        self.Conv2d_2b_3x3 = Unit(32, Layer("", 64, (3, 3)))
        self.Conv2d_3b_1x1 = Unit(64, Layer("", 80))
        self.Conv2d_4a_3x3 = Unit(80, Layer("", 192, (3, 3), padded=False))
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = (
            Block(inputs, _fives(), average, pooled) for inputs, pooled in ((192, 32), (256, 64), (288, 64))
        )
        self.Mixed_6a = Block(288, _to_sixes(), shrink, None)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (
            Block(768, _sixes(width), average, 192) for width in (128, 160, 160, 192)
        )
        self.Mixed_7a = Block(768, _to_sevens(), shrink, None)
        self.Mixed_7b = Block(1280, _sevens(), average, 192)
        self.Mixed_7c = Block(2048, _sevens(), largest, 192)

    def features(self, images: Tensor) -> Tensor:
        """`(N, 3, H, W)` in [−1, 1] → `(N, 2048)`; resized bilinearly to 299, not antialiased, as the torch ports do."""
        if tuple(images.shape[2:]) != (SIDE, SIDE):
            images = functional.interpolate(images, (SIDE, SIDE), mode="bilinear", align_corners=False)
        for name, module in self.named_children():
            images = module(images)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                images = shrink(images)
        return images.mean(dim=(2, 3))

    def embed(self, images: Tensor) -> Tensor:
        """`features` scaled to length 1: `(N, 3, H, W)` in [−1, 1] → `(N, 2048)`."""
        return functional.normalize(self.features(images), dim=1)


def _fives() -> list[list[Stage]]:
    return [
        chain(Layer("branch1x1", 64)),
        chain(Layer("branch5x5_1", 48), Layer("branch5x5_2", 64, (5, 5))),
        chain(Layer("branch3x3dbl_1", 64), *(Layer(f"branch3x3dbl_{index}", 96, (3, 3)) for index in (2, 3))),
    ]


def _to_sixes() -> list[list[Stage]]:
    doubled = Layer("branch3x3dbl_1", 64), Layer("branch3x3dbl_2", 96, (3, 3))
    return [
        chain(Layer("branch3x3", 384, (3, 3), 2, padded=False)),
        chain(*doubled, Layer("branch3x3dbl_3", 96, (3, 3), 2, padded=False)),
    ]


def _sixes(width: int) -> list[list[Stage]]:
    across, down = (1, 7), (7, 1)
    long = ((width, down), (width, across), (width, down), (192, across))
    return [
        chain(Layer("branch1x1", 192)),
        chain(Layer("branch7x7_1", width), Layer("branch7x7_2", width, across), Layer("branch7x7_3", 192, down)),
        chain(
            Layer("branch7x7dbl_1", width),
            *(Layer(f"branch7x7dbl_{index}", *shape) for index, shape in enumerate(long, start=2)),
        ),
    ]


def _to_sevens() -> list[list[Stage]]:
    return [
        chain(Layer("branch3x3_1", 192), Layer("branch3x3_2", 320, (3, 3), 2, padded=False)),
        chain(
            Layer("branch7x7x3_1", 192),
            Layer("branch7x7x3_2", 192, (1, 7)),
            Layer("branch7x7x3_3", 192, (7, 1)),
            Layer("branch7x7x3_4", 192, (3, 3), 2, padded=False),
        ),
    ]


def _sevens() -> list[list[Stage]]:
    def fork(name: str) -> Stage:
        return Layer(f"{name}a", 384, (1, 3)), Layer(f"{name}b", 384, (3, 1))

    return [
        chain(Layer("branch1x1", 320)),
        [*chain(Layer("branch3x3_1", 384)), fork("branch3x3_2")],
        [*chain(Layer("branch3x3dbl_1", 448), Layer("branch3x3dbl_2", 384, (3, 3))), fork("branch3x3dbl_3")],
    ]


def convert(file: Path, folder: Path) -> None:
    """`pt_inception-2015-12-05*.pth` → a folder that `load` opens. BadInput names what does not fit."""
    tensors = weights.foreign(file)
    expected = _expected(Inception())
    strange = [name for name in tensors if name not in expected and not name.startswith(DROPPED) and not _counter(name)]
    if strange:
        raise BadInput(f"{file} is no InceptionV3 of the FID: it has a tensor {strange[0]}")
    weights.write(folder, {"kind": KIND, "source": file.name}, weights.fitting(tensors, expected, file))


def load(folder: Path) -> Inception:
    """Open a converted folder. BadInput: none there, or a damaged one."""
    _, tensors = weights.read(folder, KIND)
    network = Inception()
    network.load_state_dict(weights.fitting(tensors, _expected(network), folder), strict=False)
    return network.eval()


def _expected(network: Inception) -> Mapping[str, Tensor]:
    return {name: tensor for name, tensor in network.state_dict().items() if not _counter(name)}


def _counter(name: str) -> bool:
    """Batch norm's count of batches: nothing that inference reads."""
    return name.endswith("num_batches_tracked")
