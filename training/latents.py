"""Latents of a data set, encoded once for all runs, those of one size together; it knows nothing about what trains on them.

Shapes: `N` images, `C` channels, `h w` latent, `S` tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from base.errors import BadInput
from data.aspect_buckets import TOGETHER, Size, written
from data.imagefolder import ImageFolder
from models.architecture import architecture
from models.parts import Autoencoder
from models.pipeline import Pipeline
from models.pixel_tensors import from_uint8
from models.task import task_of
from training.run import tensor_cache
from training.run.batches import Groups
from training.subsets import split

_TEXTS = 64
"""Texts that are encoded at once."""
_SIDE = 64
"""Pixels of a blank picture that tells how many of them make one latent."""


@dataclass(frozen=True)
class Alike:
    """Latents of one shape."""

    rows: list[int]
    """Which rows of the split they are."""
    values: Tensor  # (N, C, h, w)

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(C, h, w)`."""
        channels, height, width = self.values.shape[1:]
        return channels, height, width


class Latents:
    """The latents of a split: of one shape, or of one for every bucket, the fullest first."""

    def __init__(self, parts: Sequence[Alike]) -> None:
        """Every row of the split is in one of the parts."""
        self.parts = tuple(parts)
        places = {row: (part, place) for part, one in enumerate(parts) for place, row in enumerate(one.rows)}
        self._places = [places[row] for row in range(len(places))]

    @classmethod
    def alike(cls, values: Tensor) -> Latents:
        """All of them `(N, C, h, w)`, row by row."""
        return cls([Alike(list(range(len(values))), values)])

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, rows: Sequence[int]) -> Tensor:
        """Those of one or more `rows` of one part: `(N, C, h, w)`."""
        (part,) = {self._places[row][0] for row in rows}
        return self.parts[part].values[[self._places[row][1] for row in rows]]

    @property
    def groups(self) -> Groups:
        """The part of each row; None where there is one."""
        return [part for part, _ in self._places] if len(self.parts) > 1 else None

    def of(self, row: int) -> Alike:
        """The part that a row is in."""
        return self.parts[self._places[row][0]]

    def together(self, rows: Sequence[int]) -> list[list[int]]:
        """Positions in `rows` of those that lie in one part, part by part."""
        parts = [self._places[row][0] for row in rows]
        return [[place for place, one in enumerate(parts) if one == part] for part in sorted(set(parts))]


def of(pipeline: Pipeline, images: ImageFolder) -> Latents:
    """The latents of all images, bucket by bucket. BadInput: as `encode`, or a bucket whose sides its networks do not take."""
    if not images.buckets:
        return Latents.alike(encode(pipeline, images))
    scale = _scale(pipeline.autoencoder)
    parts = []
    for size, rows in images.buckets.items():
        shape = _latent_shape(pipeline, images, size, scale)
        parts.append(Alike(rows, encode(replace(pipeline, latent_shape=shape), images.only(rows))))
    return Latents(parts)


def sized(pipeline: Pipeline, images: ImageFolder) -> Pipeline:
    """The pipeline with the shapes of the training images' buckets, if there are any: it draws the fullest one's by default.

    BadInput: a bucket of one picture, or one whose sides the pipeline's networks do not take.
    """
    if not images.buckets or task_of(pipeline).output != "image":
        return pipeline
    if lone := [written(size) for size, rows in images.buckets.items() if len(rows) < TOGETHER]:
        raise BadInput(
            f"{images.name}: buckets with one picture, which would fill a batch alone: {', '.join(lone)}; leave those out, or "
            "build the set with fewer buckets"
        )
    scale = _scale(pipeline.autoencoder)
    shapes = tuple(_latent_shape(pipeline, images, size, scale) for size in images.buckets)
    return replace(pipeline, latent_shape=shapes[0], shapes=shapes)


@torch.no_grad()
def encode(pipeline: Pipeline, images: ImageFolder) -> Tensor:
    """Latents `(N, C, h, w)` float32 of images of one size; the same weights and images are encoded once.

    BadInput, before all are encoded: images of another size than the denoiser draws.
    """
    autoencoder = pipeline.autoencoder
    shape = check(pipeline, images)
    name = tensor_cache.digest(
        [autoencoder], autoencoder.scaling_factor, images.digest, shape
    )  # identities have no weights
    batches = split(len(images), (3, *images.shape), 64)
    return tensor_cache.cached(
        f"latents-{name}", lambda: torch.cat([_encode(autoencoder, images, indices) for indices in batches])
    )


@torch.no_grad()
def of_texts(autoencoder: Autoencoder, ids: Tensor) -> Tensor:
    """Latents `(N, C, h, w)` float32 of texts `(N, S)`; the same weights and texts are encoded once."""
    name, device = tensor_cache.digest([autoencoder], ids), _device(autoencoder)
    return tensor_cache.cached(
        f"texts-latents-{name}",
        lambda: torch.cat([autoencoder.encode(part.to(device)).float().cpu() for part in ids.split(_TEXTS)]),
    )


def look(pipeline: Pipeline, images: ImageFolder) -> None:
    """BadInput: what `of` would refuse, by sizes alone."""
    if not images.buckets:
        check(pipeline, images)
    scale = _scale(pipeline.autoencoder) if images.buckets else 1
    for size in images.buckets:
        _latent_shape(pipeline, images, size, scale)


@torch.no_grad()
def check(pipeline: Pipeline, images: ImageFolder) -> torch.Size:
    """The shape `(C, h, w)` of the latents of images of one size, by a blank one. BadInput: the denoiser draws another."""
    shape, expected = _blank(pipeline.autoencoder, images).shape[1:], pipeline.latent_shape
    if tuple(shape) == expected:
        return shape
    if shape[0] != expected[0]:
        raise BadInput(
            f"the autoencoder gives latents of {shape[0]} channels, the denoiser takes {expected[0]}: "
            "they belong to different bases"
        )
    height, width = images.shape
    size = f"{width * expected[2] // shape[2]}x{height * expected[1] // shape[1]}"
    raise BadInput(
        f"images of {images.name} are {width}x{height} pixels, latents of {list(shape)}; the base draws {list(expected)}, "
        f"which is {size}: build the data with that size"
    )


def _encode(autoencoder: Autoencoder, images: ImageFolder, indices: Tensor) -> Tensor:
    pixels = from_uint8(images.images(indices.tolist())).to(_device(autoencoder))
    return autoencoder.encode(pixels).float().cpu()


def _blank(autoencoder: Autoencoder, images: ImageFolder) -> Tensor:
    """The latent `(1, C, h, w)` of a blank picture of the set's size. BadInput: sides that it does not divide, and must."""
    height, width = images.shape
    try:
        return autoencoder.encode(torch.zeros(1, 3, height, width, device=_device(autoencoder)))
    except RuntimeError:
        scale = _scale(autoencoder)
        if height % scale == 0 and width % scale == 0:
            raise
        raise BadInput(
            f"images of {images.name} are {width}x{height} pixels; both sides must be multiples of {scale} for this base"
        ) from None


@torch.no_grad()
def _scale(autoencoder: Autoencoder) -> int:
    """Pixels of a latent's side."""
    blank = torch.zeros(1, 3, _SIDE, _SIDE, device=_device(autoencoder))
    return int(_SIDE // autoencoder.encode(blank).shape[-1])


def _latent_shape(pipeline: Pipeline, images: ImageFolder, size: Size, scale: int) -> tuple[int, int, int]:
    """`(C, h, w)` of a bucket. BadInput: its sides are no multiples of what autoencoder and denoiser need."""
    multiple = scale * architecture(pipeline.denoiser).side_multiple
    if any(side % multiple for side in size):
        raise BadInput(
            f"bucket {written(size)} of {images.name}: both sides must be multiples of {multiple} for this base; build the "
            f"set with buckets.divisor={multiple} or a multiple of it"
        )
    return pipeline.latent_shape[0], size[1] // scale, size[0] // scale


def _device(autoencoder: Autoencoder) -> torch.device:
    return next((weight.device for weight in autoencoder.parameters()), torch.device("cpu"))
