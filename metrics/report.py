"""One report on a teacher and its student: three lines always, floor, teacher, student; it knows callables, no pipelines.

Shapes: `N` images, `P` prompts, `H W` pixels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from metrics import distances, features, sharpness, validity
from metrics.captioned import Captioned, join
from metrics.distances import Features, Spread
from metrics.features import Images
from metrics.identification import Accuracy, Prototypes, ground_colours, ground_hits
from metrics.judge import Judge
from metrics.validity import Validity

Draw = Callable[[Sequence[str], Sequence[int]], Images]
"""`(prompts, seeds) → (N, H, W, 3)` uint8: any pipeline, any backend."""
GuidedDraw = Callable[[float], Draw]
"""Guidance weight → a teacher that draws with it."""
RoundTrip = Callable[[Images], Images]
"""Images through an autoencoder and back."""


@dataclass(frozen=True)
class Effort:
    """How much is drawn. A teacher of 50 guided steps draws some ten small images a second and core."""

    images: int = 400
    """N of the distances: held-out captions drawn once each."""
    captions: int = 200
    """Captions drawn of each set that is identified."""
    guidances: tuple[float, ...] = (1.0, 1.25, 1.5, 2.0, 3.0)
    """The sweep; the teacher is its best by FD."""
    sweep: int = 100
    """Images drawn for each guidance of the sweep."""
    prompts: int = 16
    """Prompts of the spread at a fixed prompt."""
    seeds: int = 8
    """Images of each of them."""
    batch: int = 50
    """Images drawn at once."""


@dataclass(frozen=True)
class Reals:
    """The real set, as the report wants it."""

    train: Captioned
    """What was trained on."""
    held_out: Captioned
    """What distances are taken from; best of the labels that `train` has, in the same shares."""
    captions: Mapping[str, Captioned]
    """Sets of captions by the name of their column: `{"training captions": …, "held-out captions": …}`."""


@dataclass(frozen=True)
class Line:
    """The figures of one source of images."""

    name: str
    n: int
    fd: float
    kid: Spread
    precision: float
    recall: float
    identified: dict[str, Accuracy]
    ground: float | None
    """Share of the named backgrounds that were drawn, where captions name any."""
    detail: float
    """Mean absolute Laplacian ÷ the held-out reals'."""
    spread: float | None
    """Pixel spread at a fixed prompt in grey levels; the reals have no fixed prompts."""
    nearest: float | None
    """Median distance to the nearest training image ÷ that of the held-out reals: far below 1, it was memorised."""


@dataclass(frozen=True)
class Restored:
    """Held-out reals after the autoencoder: no pipeline on top of it draws better than this."""

    psnr: float
    """In dB."""
    detail: float
    """Mean absolute Laplacian ÷ the reals'."""
    fd: float
    """From the reals as they were."""


@dataclass(frozen=True)
class Report:
    """What `evaluate` found."""

    lines: tuple[Line, Line, Line]
    guidance: float
    """The teacher's best."""
    sweep: dict[float, float]
    """Guidance → FD at the sweep's N."""
    sweep_n: int
    validity: Validity
    autoencoder: Restored | None

    def save(self, path: Path) -> None:
        """Write JSON, atomically."""
        verdict = {"margin": self.validity.margin, "rises": self.validity.rises, "valid": self.validity.valid}
        beside = path.with_name(path.name + ".tmp")
        beside.write_text(json.dumps({**asdict(self), "verdict": verdict}, indent=1))
        beside.replace(path)


def evaluate(
    judge: Judge,
    reals: Reals,
    teacher: GuidedDraw,
    student: Draw,
    autoencoder: RoundTrip | None = None,
    effort: Effort | None = None,
    teacher_name: str = "teacher",
) -> Report:
    """Draw, measure, compare. The same captions and seeds go to teacher and student."""
    bench = _Bench(judge, reals, effort or Effort())
    sweep, guidance, started = bench.sweep(teacher)
    lines = (
        bench.floor(),
        bench.line(f"{teacher_name}, guidance {guidance:g}", teacher(guidance), started),
        bench.line("student, 1 step", student),
    )
    examined = validity.examine(bench.features, bench.held_out.images, bench.held_out.labels, lines[1].fd)
    restored = bench.restored(autoencoder) if autoencoder else None
    return Report(lines, guidance, sweep, bench.sweep_n, examined, restored)


class _Bench:
    """What all lines share: the reals chosen, their features, the prototypes."""

    def __init__(self, judge: Judge, reals: Reals, effort: Effort) -> None:
        self.judge, self.effort = judge, effort
        self.held_out = reals.held_out.even(effort.images)
        self.floor_set = reals.train.even(len(self.held_out))
        self.captions = {name: part.even(effort.captions) for name, part in reals.captions.items()}
        self.fixed = reals.train.even(effort.prompts, seed=1).captions
        self.real_features = self.features(self.held_out.images)
        everything = join([reals.train, reals.held_out, *reals.captions.values()])
        self.prototypes = Prototypes.of(self.embeddings(everything.images), everything.labels)
        self.colours = ground_colours(everything.images, everything.grounds)
        self.train_embeddings = self.embeddings(reals.train.images)
        self.usual = sharpness.nearest(self.embeddings(self.held_out.images), self.train_embeddings)

    @property
    def sweep_n(self) -> int:
        return min(self.effort.sweep, len(self.held_out))

    def features(self, images: Images) -> Features:
        return features.features(self.judge, images)

    def embeddings(self, images: Images) -> Features:
        return features.embeddings(self.judge, images)

    def sweep(self, teacher: GuidedDraw) -> tuple[dict[float, float], float, list[Images]]:
        """FD of the first captions at each guidance, the best, and what it drew."""
        drawn = {g: self._held_out(teacher(g), 0, self.sweep_n, f"guidance {g:g}") for g in self.effort.guidances}
        found = {
            guidance: distances.frechet(self.real_features, self.features(np.concatenate(images)))
            for guidance, images in drawn.items()
        }
        best = min(found, key=lambda guidance: found[guidance])
        return found, best, drawn[best]

    def floor(self) -> Line:
        """As many training reals, labels taking turns, as if they had been drawn."""
        drawn = {name: part.images for name, part in self.captions.items()}
        return self._measure("floor: training reals", self.floor_set.images, drawn, spread=None, nearest=None)

    def line(self, name: str, draw: Draw, started: Sequence[Images] = ()) -> Line:
        """A generator's line; `started` are its images of the first held-out captions, if there are any yet."""
        done = sum(map(len, started))
        images = np.concatenate([*started, *self._held_out(draw, done, len(self.held_out), name)])
        drawn = {}
        for turn, (title, part) in enumerate(self.captions.items(), start=1):
            seeds = range(turn * 1_000_000, turn * 1_000_000 + len(part))
            drawn[title] = np.concatenate(self._draw(draw, part.captions, seeds, name))
        nearest = sharpness.nearest(self.embeddings(images), self.train_embeddings) / self.usual
        return self._measure(name, images, drawn, self._spread(draw, name), nearest)

    def restored(self, autoencoder: RoundTrip) -> Restored:
        """What the autoencoder leaves of the held-out reals."""
        images = self.held_out.images
        back = autoencoder(images)
        return Restored(
            psnr=sharpness.psnr(images, back),
            detail=sharpness.laplacian(back) / sharpness.laplacian(images),
            fd=distances.frechet(self.real_features, self.features(back)),
        )

    def _spread(self, draw: Draw, name: str) -> float:
        prompts = [prompt for prompt in self.fixed for _ in range(self.effort.seeds)]
        drawn = np.concatenate(self._draw(draw, prompts, range(len(prompts)), name))
        return sharpness.spread(drawn.reshape(len(self.fixed), self.effort.seeds, *drawn.shape[1:]))

    def _held_out(self, draw: Draw, start: int, stop: int, title: str) -> list[Images]:
        return self._draw(draw, self.held_out.captions[start:stop], range(start, stop), title)

    def _draw(self, draw: Draw, prompts: Sequence[str], seeds: range, title: str) -> list[Images]:
        starts = range(0, len(prompts), self.effort.batch)
        parts = [slice(start, start + self.effort.batch) for start in starts]
        shown = track(parts, f"drawing: {title}", console=Console(stderr=True))
        return [draw(prompts[part], seeds[part]) for part in shown]

    def _measure(
        self, name: str, images: Images, drawn: Mapping[str, Images], spread: float | None, nearest: float | None
    ) -> Line:
        """`images` answer the held-out captions, `drawn` the sets of captions."""
        found = self.features(images)
        precision, recall = distances.precision_recall(self.real_features, found)
        hits = [ground_hits(drawn[title], part.grounds, self.colours) for title, part in self.captions.items()]
        named = [hit for group in hits for hit in group]
        return Line(
            name=name,
            n=len(images),
            fd=distances.frechet(self.real_features, found),
            kid=distances.kid(self.real_features, found, size=max(2, len(images) // 2)),
            precision=precision,
            recall=recall,
            identified={
                title: self.prototypes.accuracy(self.embeddings(drawn[title]), part.labels)
                for title, part in self.captions.items()
            },
            ground=float(np.mean(named)) if named else None,
            detail=sharpness.laplacian(images) / sharpness.laplacian(self.held_out.images),
            spread=spread,
            nearest=nearest,
        )
