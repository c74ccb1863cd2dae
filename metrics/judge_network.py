"""The judge: a small network that learns the labels of a real set; it knows no generator and never sees blur or noise.

Its features give every Fréchet distance, KID and identification figure of a set that ships with one. Shapes: `N` batch,
`H W` pixels, `D` width of the embedding, `L` labels, `K` uniform draws an image, `T` texture statistics.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from base.errors import BadInput
from base.files import atomic_file
from base.safetensors_head import check_folder
from models.pixels import HALF

DRAWS = 12
"""Uniform numbers in [0, 1) that `augment` takes for each image."""

SHIFT, ZOOM, TURN, CUTOUT = 4, 0.08, 8.0, 16
"""Largest shift (pixels of 64), change of scale, rotation (degrees), and the cutout's side (pixels of 64)."""

OCTAVES = 3
TEXTURE_WEIGHT = 0.2
"""Weight of texture next to an embedding of length 1. Measured: at 0 a blur of σ = 1 costs a third of the floor, here 4.9."""


@dataclass(frozen=True)
class JudgeConfig:
    """The shape of a judge; on disk it is `config.json`."""

    labels: int
    """How many labels the real set has."""
    channels: tuple[int, ...] = (32, 64, 128, 192)
    """Width of each stage; every stage halves the side."""
    width: int = 128
    """Dimensions of the embedding."""
    seed: int = 1717
    """Seed of the initial weights, the judge's own."""
    slots: tuple[tuple[str, ...], ...] = ()
    """Where it reads attributes in place of one label: those of each slot (`metrics/attribute_accuracy.py`)."""


class Stage(nn.Module):
    """Halve the side, then one residual convolution where it is cheap (sides of 16 and less)."""

    def __init__(self, inputs: int, outputs: int, residual: bool) -> None:
        super().__init__()
        self.down = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.norm = nn.GroupNorm(8, outputs)
        self.residual = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False) if residual else None
        self.residual_norm = nn.GroupNorm(8, outputs) if residual else None

    def forward(self, maps: Tensor) -> Tensor:
        """`(N, C, H, W)` → `(N, C', H/2, W/2)`."""
        maps = functional.silu(self.norm(self.down(maps)))
        if self.residual is None or self.residual_norm is None:
            return maps
        return maps + functional.silu(self.residual_norm(self.residual(maps)))


class Judge(nn.Module):
    """Images `(N, 3, H, W)` in [−1, 1] → logits over labels `(N, L)`."""

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            pairs = zip((3, *config.channels), config.channels, strict=False)
            last = len(config.channels) - 2
            self.stages = nn.Sequential(*(Stage(*pair, i >= last) for i, pair in enumerate(pairs)))
            self.project = nn.Linear(config.channels[-1], config.width)
            self.classify = nn.Parameter(torch.randn(config.labels, config.width))
            self.scale = nn.Parameter(torch.tensor(16.0))  # inverse temperature of the cosine logits

    def embed(self, images: Tensor) -> Tensor:
        """What an image shows: `(N, 3, H, W)` in [−1, 1] → embeddings `(N, D)` of length 1."""
        return functional.normalize(self.project(self.stages(images).mean(dim=(2, 3))), dim=1)

    def features(self, images: Tensor) -> Tensor:
        """What an image shows and how sharply: `(N, 3, H, W)` in [−1, 1] → `(N, D + T)`, what distances are taken on.

        A network that only has to recognise is free to forget sharpness, and does: it puts blurred reals nearer to the
        reals than other reals are. So the texture that it forgets is appended to its embedding.
        """
        return torch.cat([self.embed(images), TEXTURE_WEIGHT * texture(images)], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` in [−1, 1] → cosine logits `(N, L)`."""
        return self.scale * self.embed(images) @ functional.normalize(self.classify, dim=1).T


def texture(images: Tensor) -> Tensor:
    """Log mean absolute and log root mean square Laplacian of the luminance, two an octave of a pyramid.

    Images `(N, 3, H, W)` in [−1, 1] → `(N, T)`. The first feels noise on flat ground, the second the edges: a
    mixture of both errors cannot hide in either alone.
    """
    kernel = images.new_tensor([[0, -1, 0], [-1, 4, -1], [0, -1, 0]]).view(1, 1, 3, 3)
    grey = (images * images.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    statistics = []
    for _ in range(OCTAVES):
        detail = functional.conv2d(grey, kernel).flatten(1)
        statistics += [detail.abs().mean(dim=1), detail.square().mean(dim=1).sqrt()]
        grey = functional.avg_pool2d(grey, 2)
    return (torch.stack(statistics, dim=1) + 0.5 / HALF).log()  # half a grey level keeps flat images finite


def judge_loss(judge: Judge, images: Tensor, labels: Tensor, smoothing: float = 0.1) -> Tensor:
    """Cross-entropy of images `(N, 3, H, W)` against labels `(N,)`; label smoothing: arXiv 1512.00567."""
    return functional.cross_entropy(judge(images), labels, label_smoothing=smoothing)


def augment(images: Tensor, draws: Tensor) -> Tensor:
    """Shift, zoom, turn, recolour and cut out images `(N, 3, H, W)` in [−1, 1] by uniform `draws` `(N, K)`.

    Neither blur nor noise: geometry is resampled by nearest neighbour, which moves pixels and never mixes them.
    """
    assert draws.shape == (len(images), DRAWS), f"draws must be ({len(images)}, {DRAWS}), not {tuple(draws.shape)}"
    signed = (2 * draws - 1).to(images)
    return _cut_out(_recolour(_move(images, signed[:, :4]), signed[:, 4:9]), signed[:, 9:12])


def _move(images: Tensor, signed: Tensor) -> Tensor:
    """Rotate, scale and shift images `(N, 3, H, W)` about the centre; beyond the border the border's own colour goes on."""
    angle = torch.deg2rad(signed[:, 0] * TURN)
    zoom = 1 + signed[:, 1] * ZOOM
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    shift = signed[:, 2:4] * (2 * SHIFT / 64)
    theta = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="nearest", padding_mode="border", align_corners=False)


def _recolour(images: Tensor, signed: Tensor) -> Tensor:
    """Brightness and contrast, and a slight tint a channel: 10 % each way."""
    contrast = (1 + 0.1 * signed[:, 0]).view(-1, 1, 1, 1)
    offset = (0.1 * signed[:, 1]).view(-1, 1, 1, 1) + 0.06 * signed[:, 2:5].view(-1, 3, 1, 1)
    return (images * contrast + offset).clamp(-1, 1)


def _cut_out(images: Tensor, signed: Tensor) -> Tensor:
    """Grey out one square in two images of three (arXiv 1708.04552); its centre may lie outside."""
    height, width = images.shape[2:]
    half = CUTOUT * height / 128
    rows = (torch.arange(height, device=images.device) + 0.5 - height * (signed[:, :1] * 0.5 + 0.5)).abs() < half
    columns = (torch.arange(width, device=images.device) + 0.5 - width * (signed[:, 1:2] * 0.5 + 0.5)).abs() < half
    square = rows[:, None, :, None] & columns[:, None, None, :] & (signed[:, 2] < 1 / 3).view(-1, 1, 1, 1)
    return images.masked_fill(square, 0.0)


def save(judge: Judge, folder: Path) -> None:
    """Write `folder/judge.safetensors` (fp16) and `folder/config.json`, each atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().half().contiguous() for name, tensor in judge.state_dict().items()}
    with atomic_file(folder / "config.json") as config, atomic_file(folder / "judge.safetensors") as weights:
        save_file(tensors, weights)
        config.write_text(json.dumps(asdict(judge.config), indent=1))


def load(folder: Path) -> Judge:
    """Open what `save` wrote, in float32, ready to judge. BadInput: no judge there, or a damaged one."""
    try:
        values = json.loads((folder / "config.json").read_text())
        slots = tuple(tuple(slot) for slot in values.get("slots", ()))
        judge = Judge(JudgeConfig(**{**values, "channels": tuple(values["channels"]), "slots": slots}))
        check_folder(folder)
        weights = load_file(folder / "judge.safetensors")
        judge.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    except FileNotFoundError as error:
        raise BadInput(f"{folder} holds no judge: it needs config.json and judge.safetensors") from error
    except (KeyError, TypeError, RuntimeError, SafetensorError, json.JSONDecodeError) as error:
        raise BadInput(f"{folder} holds a damaged judge: {str(error).splitlines()[0]}") from error
    return judge.eval()
