"""Opens the frozen network through which decoded pictures are looked at, by name; it knows no loss."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from base.runs import run_folder
from metrics import efficientnet_lite, weights
from training.student.discriminator_features import Features, VisionFeatures
from training.student.projected_features import ProjectedFeatures


def open_pixel_features(name: str, decode: Callable[[Tensor], Tensor]) -> Features:
    """A folder, or name under the runs, that `ippo convert efficientnet-lite` wrote; else a vision transformer's.

    `decode`: latents `(N, C, h, w)` → pictures `(N, 3, H, W)`. BadInput: neither.
    """
    folder = run_folder(name)
    if weights.kind(folder) == efficientnet_lite.KIND:
        return ProjectedFeatures(folder, decode)
    return VisionFeatures(name, decode)
