"""Draws and measures: the same captions and seeds go to teacher and students; it knows callables, no pipelines.

Shapes: `N` images, `P` prompts, `H W` pixels, `D` width of an embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from evaluation.report import JUDGE, Effort, Fidelity, Line, Point, Reals, Report, Restored
from metrics import distances, features, lpips, sharpness, validity
from metrics.distances import Features
from metrics.features import Captioner, Images, Network
from metrics.identification import Labels, Prototypes, ground_colours, ground_hits
from metrics.judge_network import Judge
from metrics.labelled_images import LabelledImages, join
from metrics.lpips import Lpips
from metrics.similarity import Similarity, similarity

Draw = Callable[[Sequence[str], Sequence[int]], Images]
"""`(prompts, seeds) → (N, H, W, 3)` uint8: any pipeline, any backend; a prompt is whatever the task's input is."""
GuidedDraw = Callable[[float, str], Draw]
"""Guidance weight and sampler → a teacher that draws with them."""
RoundTrip = Callable[[Images], Images]
"""Images through an autoencoder and back."""


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


class Bench:
    """What all lines share: the reals chosen, their features, the prototypes."""

    def __init__(self, instruments: Instruments, reals: Reals, effort: Effort) -> None:
        self.tools, self.judge, self.effort, self.reals = instruments, instruments.judge, effort, reals
        self.held_out = reals.held_out.even(effort.images)
        self.captions = {name: part.even(effort.captions) for name, part in reals.captions.items()}
        self.fixed = reals.train.even(effort.prompts, seed=1).captions
        self.real_features = {name: features.features(net, self.held_out.images) for name, net in self._networks()}
        parts = [reals.train, reals.held_out, *reals.captions.values()]
        everything = join(list({id(part.images): part for part in parts}.values()))
        self.prototypes = Prototypes.of(self.embeddings(everything.images), everything.labels)
        self.colours = ground_colours(everything.images, everything.grounds)
        self.train_embeddings = self.embeddings(reals.train.images)
        self.usual = max(sharpness.nearest(self.embeddings(self.held_out.images), self.train_embeddings), 1e-9)

    def report(
        self,
        teacher: GuidedDraw,
        students: Mapping[str, Draw],
        autoencoder: RoundTrip | None = None,
        teacher_name: str = "teacher",
    ) -> Report:
        """Floor, the teacher at the best point of its sweep, the students, and whether the judge is fit to judge."""
        sweep, best, started = self.sweep(teacher)
        name = f"{teacher_name}, guidance {best.guidance:g}, {best.sampler}"
        lines = [self.floor(), self.line(name, teacher(best.guidance, best.sampler), started)]
        lines += [self.line(title, draw) for title, draw in students.items()]
        held_out = self.held_out
        examined = validity.examine(self.features, held_out.images, held_out.labels, lines[1].fd)
        restored = self.restored(autoencoder) if autoencoder else None
        return Report(tuple(lines), sweep, self.sweep_n, examined, restored)

    @property
    def sweep_n(self) -> int:
        """Images of each point of the sweep."""
        return min(self.effort.sweep, len(self.held_out))

    def features(self, images: Images) -> Features:
        """The judge's."""
        return features.features(self.judge, images)

    def embeddings(self, images: Images) -> Features:
        """The judge's."""
        return features.embeddings(self.judge, images)

    def sweep(self, teacher: GuidedDraw) -> tuple[tuple[Point, ...], Point, list[Images]]:
        """FD of the first captions at every setting, the best setting, and what it drew."""
        points: list[Point] = []
        best: tuple[Point, list[Images]] | None = None
        for sampler in self.effort.samplers:
            for guidance in self.effort.guidances:
                draw, title = teacher(guidance, sampler), f"guidance {guidance:g}, {sampler}"
                images = self._held_out(draw, 0, self.sweep_n, title)
                found = distances.frechet(self.real_features[JUDGE], self.features(np.concatenate(images)))
                points.append(Point(guidance, sampler, found))
                if best is None or found < best[0].fd:
                    best = points[-1], images
        assert best is not None, "a sweep needs a guidance and a sampler"
        return tuple(points), *best

    def floor(self) -> Line:
        """As many training reals of the same labels, as if they had been drawn."""
        chosen = self.reals.train.alike(self.held_out)
        drawn = {name: part.images for name, part in self.captions.items()}
        return self._measure("floor: training reals", chosen.images, chosen, drawn)

    def line(self, name: str, draw: Draw, started: Sequence[Images] = ()) -> Line:
        """A generator's line; `started` are its images of the first held-out captions, if there are any yet."""
        done = sum(map(len, started))
        images = np.concatenate([*started, *self._held_out(draw, done, len(self.held_out), name)])
        drawn = {}
        for turn, (title, part) in enumerate(self.captions.items(), start=1):
            seeds = range(turn * 1_000_000, turn * 1_000_000 + len(part))
            drawn[title] = np.concatenate(self._draw(draw, part.captions, seeds, name))
        prompts = [prompt for prompt in self.fixed for _ in range(self.effort.seeds)]
        several = np.concatenate(self._draw(draw, prompts, range(len(prompts)), name))
        groups = several.reshape(len(self.fixed), self.effort.seeds, *several.shape[1:])
        nearest = sharpness.nearest(self.embeddings(images), self.train_embeddings) / self.usual
        return self._measure(name, images, self.held_out, drawn, groups, nearest)

    def restored(self, autoencoder: RoundTrip) -> Restored | None:
        """What the autoencoder leaves of the held-out reals; None where it leaves them as they are."""
        images = self.held_out.images
        back = autoencoder(images)
        if np.array_equal(back, images):
            return None
        return Restored(
            psnr=sharpness.mean_psnr(images, back),
            detail=sharpness.laplacian(back) / sharpness.laplacian(images),
            fd=distances.frechet(self.real_features[JUDGE], self.features(back)),
        )

    def neighbours(self, images: Images, count: int) -> tuple[NDArray[np.intp], Features]:
        """The nearest training images by the judge: places in `reals.train` and distances ÷ the held-out reals' median."""
        places, apart = distances.neighbours(self.embeddings(images), self.train_embeddings, count)
        return places, apart / self.usual

    def _networks(self) -> list[tuple[str, Network]]:
        return list(self.tools.networks.items())

    def _held_out(self, draw: Draw, start: int, stop: int, title: str) -> list[Images]:
        return self._draw(draw, self.held_out.captions[start:stop], range(start, stop), title)

    def _draw(self, draw: Draw, prompts: Sequence[str], seeds: range, title: str) -> list[Images]:
        starts = range(0, len(prompts), self.effort.batch)
        parts = [slice(start, start + self.effort.batch) for start in starts]
        shown = track(parts, f"drawing: {title}", console=Console(stderr=True))
        return [draw(prompts[part], seeds[part]) for part in shown]

    def _measure(
        self,
        name: str,
        images: Images,
        asked: LabelledImages,
        drawn: Mapping[str, Images],
        groups: NDArray[np.uint8] | None = None,
        nearest: float | None = None,
    ) -> Line:
        """`images` answer what was `asked`, `drawn` the sets of captions; `groups` `(P, N, H, W, 3)` are seeds of a prompt."""
        hits = [ground_hits(drawn[title], part.grounds, self.colours) for title, part in self.captions.items()]
        named = [hit for group in hits for hit in group]
        return Line(
            name=name,
            n=len(images),
            fidelity={title: self._fidelity(title, network, images) for title, network in self._networks()},
            recognised=self._recognised(images, asked.labels),
            identified={
                title: self.prototypes.accuracy(self.embeddings(drawn[title]), part.labels)
                for title, part in self.captions.items()
            },
            ground=float(np.mean(named)) if named else None,
            similarity=self._similarity(images, asked.captions),
            detail=sharpness.laplacian(images) / sharpness.laplacian(self.held_out.images),
            spread=None if groups is None else sharpness.spread(groups),
            diversity={} if groups is None else self._diversity(groups),
            nearest=nearest,
        )

    def _fidelity(self, title: str, network: Network, images: Images) -> Fidelity:
        real, found = self.real_features[title], features.features(network, images)
        precision, recall = distances.precision_recall(real, found)
        return Fidelity(
            fd=distances.frechet(real, found),
            fd_deviation=distances.frechet_deviation(real, found),
            kid=distances.kid(real, found, size=max(2, len(images) // 2)),
            precision=precision,
            recall=recall,
        )

    def _recognised(self, images: Images, labels: Labels) -> float | None:
        if self.judge.config.slots or labels.min() < 0 or labels.max() >= self.judge.config.labels:
            return None
        named = features.rows(self.judge, self.judge.forward, images).argmax(axis=1)
        return float((named == labels).mean())

    def _similarity(self, images: Images, captions: Sequence[str]) -> dict[str, Similarity]:
        seeing = {title: cast(Captioner, net) for title, net in self._networks() if hasattr(net, "texts")}
        return {
            title: similarity(features.embeddings(net, images), features.texts(net, captions), captions)
            for title, net in seeing.items()
        }

    def _diversity(self, groups: NDArray[np.uint8]) -> dict[str, float]:
        flat, shape = groups.reshape(-1, *groups.shape[2:]), groups.shape[:2]
        found = {
            title: distances.diversity(features.embeddings(network, flat).reshape(*shape, -1))
            for title, network in self._networks()
        }
        return found | {title: lpips.diversity(network, groups) for title, network in self.tools.perceptual.items()}
