"""What every source of images is measured against: real images, their features, the networks; it draws nothing.

Shapes: `N` images, `P` prompts, `H W` pixels, `D` width of a feature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from evaluation.attributes.open_captions import OpenCaptions
from evaluation.effort import Effort
from metrics import distances, features, sharpness
from metrics.distances import Features
from metrics.features import Images, Network
from metrics.identification import Prototypes, background_colours
from metrics.judge_network import Judge
from metrics.labelled_images import LabelledImages, join
from metrics.lpips import Lpips

JUDGE = "judge"
"""The feature network that every evaluation has."""


@dataclass(frozen=True)
class Instruments:
    """The networks that measure, by the names that are printed with their figures."""

    judge: Judge
    others: Mapping[str, Network] = field(default_factory=dict)
    perceptual: Mapping[str, Lpips] = field(default_factory=dict)

    @property
    def networks(self) -> dict[str, Network]:
        """The feature networks, the judge first."""
        return {JUDGE: cast(Network, self.judge), **self.others}


@dataclass(frozen=True)
class Reals:
    """The real set of an evaluation."""

    train: LabelledImages
    """What was trained on."""
    held_out: LabelledImages
    """What distances are taken from; best of the labels that `train` has, in the same shares."""
    caption_sets: Mapping[str, LabelledImages]
    """Sets of captions by the name of their column: `{"training captions": …, "held-out captions": …}`."""


class EvaluationReference:
    """The reals that an evaluation of this effort compares with, and all that is computed from them once."""

    def __init__(self, instruments: Instruments, reals: Reals, effort: Effort) -> None:
        self.instruments, self.reals = instruments, reals
        self.judge, self.networks = instruments.judge, instruments.networks
        self.held_out = reals.held_out.even(effort.images)
        self.caption_sets = {name: labelled.even(effort.captions) for name, labelled in reals.caption_sets.items()}
        self.real_features = {
            name: features.features(network, self.held_out.images) for name, network in self.networks.items()
        }
        # Prototypes and colours come from every real image; sets that share their images count once.
        labelled_sets = [reals.train, reals.held_out, *reals.caption_sets.values()]
        everything = join(list({id(labelled.images): labelled for labelled in labelled_sets}.values()))
        self.prototypes = Prototypes.of(self.embeddings(everything.images), everything.labels)
        self.colours = background_colours(everything.images, everything.backgrounds)
        self.training_embeddings = self.embeddings(reals.train.images)
        self.open_captions = OpenCaptions.of(self.judge, reals.train, max(1, effort.captions // effort.seeds))
        """Captions that leave a slot of the judge open; None where there are none."""
        held_out_distance = sharpness.nearest(self.embeddings(self.held_out.images), self.training_embeddings)
        self.usual_distance = max(held_out_distance, 1e-9)
        """Median distance of a held-out real to its nearest training image, by the judge."""

    def features(self, images: Images) -> Features:
        """The judge's features `(N, D)` of images `(N, H, W, 3)`, on which distances are taken."""
        return features.features(self.judge, images)

    def embeddings(self, images: Images) -> Features:
        """The judge's embeddings `(N, D)`, of length 1, of images `(N, H, W, 3)`."""
        return features.embeddings(self.judge, images)

    def judge_distance(self, images: Images) -> float:
        """Fréchet distance (FD) of images `(N, H, W, 3)` from the held-out reals, by the judge."""
        return distances.frechet(self.real_features[JUDGE], self.features(images))

    def neighbours(self, images: Images, count: int) -> tuple[NDArray[np.intp], Features]:
        """The nearest training images by the judge: indices into `reals.train` and distances ÷ `usual_distance`.

        Images `(N, H, W, 3)` → two arrays `(N, count)`, the nearest first.
        """
        indices, apart = distances.neighbours(self.embeddings(images), self.training_embeddings, count)
        return indices, apart / self.usual_distance


class SourceImages:
    """Images of one source: the training reals, the teacher or a student; its features are computed once."""

    def __init__(
        self,
        reference: EvaluationReference,
        images: Images,
        requested: LabelledImages,
        by_caption_set: Mapping[str, Images],
        by_prompt: NDArray[np.uint8] | None = None,
        by_open_caption: NDArray[np.uint8] | None = None,
    ) -> None:
        self.reference = reference
        self.images = images
        """`(N, H, W, 3)`, one for each row of `requested`."""
        self.requested = requested
        """The captions and labels that `images` were drawn for."""
        self.by_caption_set = by_caption_set
        """`(N, H, W, 3)` for each set in `reference.caption_sets`."""
        self.by_prompt = by_prompt
        """`(P, N, H, W, 3)`: several seeds of each fixed prompt; None of the reals, which have no fixed prompts."""
        self.by_open_caption = by_open_caption
        """`(P, N, H, W, 3)`: several seeds of each caption that leaves something open; None where there are none."""
        self._features: dict[str, Features] = {}

    def __len__(self) -> int:
        return len(self.images)

    def features(self, network: str) -> Features:
        """Features `(N, D)` of `images` by a network of `reference.networks`."""
        if network not in self._features:
            self._features[network] = features.features(self.reference.networks[network], self.images)
        return self._features[network]
