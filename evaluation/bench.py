"""Draws and measures: the same captions and seeds go to teacher and students; it knows callables, no pipelines.

Shapes: `N` images, `P` prompts, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.draw import SEEDS_APART, Draw, GuidedDraw, RoundTrip, drawn
from evaluation.effort import Effort
from evaluation.figures import FIGURES, fd
from evaluation.line import Figure, Line, measure
from evaluation.reference import EvaluationReference, Instruments, Reals, SourceImages
from evaluation.report import Point, Report, Restored
from metrics import sharpness, validity
from metrics.features import Images


class Bench:
    """Asks every source for the same images, and measures them against one reference."""

    def __init__(
        self,
        instruments: Instruments,
        reals: Reals,
        effort: Effort,
        figures: tuple[Figure[Any], ...] = FIGURES,
    ) -> None:
        self.effort, self.figures = effort, figures
        self.reference = EvaluationReference(instruments, reals, effort)
        self.fixed_prompts = reals.train.even(effort.prompts, seed=1).captions

    @property
    def sweep_n(self) -> int:
        """Images of each point of the sweep."""
        return min(self.effort.sweep, len(self.reference.held_out))

    def report(
        self,
        teacher: GuidedDraw,
        students: Mapping[str, Draw],
        autoencoder: RoundTrip | None = None,
        teacher_name: str = "teacher",
    ) -> Report:
        """Floor, the teacher at the best point of its sweep, the students, and whether the judge is fit to judge."""
        sweep, best, batches = self.sweep(teacher)
        name = f"{teacher_name}, guidance {best.guidance:g}, {best.sampler}"
        lines = [self.floor(), self.line(name, teacher(best.guidance, best.sampler), batches)]
        lines += [self.line(title, draw) for title, draw in students.items()]
        held_out = self.reference.held_out
        verdict = validity.examine(self.reference.features, held_out.images, held_out.labels, fd(lines[1]))
        restored = self.restored(autoencoder) if autoencoder else None
        return Report(self.figures, tuple(lines), sweep, self.sweep_n, verdict, restored)

    def sweep(self, teacher: GuidedDraw) -> tuple[tuple[Point, ...], Point, list[Images]]:
        """FD of the first captions at every setting, the best setting, and its batches of images `(N, H, W, 3)`."""
        points: list[Point] = []
        best: tuple[Point, list[Images]] | None = None
        for sampler in self.effort.samplers:
            for guidance in self.effort.guidances:
                draw, title = teacher(guidance, sampler), f"guidance {guidance:g}, {sampler}"
                batches = self._held_out(draw, 0, self.sweep_n, title)
                points.append(Point(guidance, sampler, self.reference.judge_distance(np.concatenate(batches))))
                if best is None or points[-1].fd < best[0].fd:
                    best = points[-1], batches
        assert best is not None, "a sweep needs a guidance and a sampler"
        return tuple(points), *best

    def floor(self) -> Line:
        """As many training reals of the same labels, as if they had been drawn."""
        chosen = self.reference.reals.train.alike(self.reference.held_out)
        by_caption_set = {name: labelled.images for name, labelled in self.reference.caption_sets.items()}
        source = SourceImages(self.reference, chosen.images, chosen, by_caption_set)
        return measure("floor: training reals", source, self.figures)

    def line(self, name: str, draw: Draw, batches: Sequence[Images] = ()) -> Line:
        """A generator's line; `batches` `(N, H, W, 3)` are its images of the first held-out captions, if there are any."""
        held_out = self.reference.held_out
        done = sum(map(len, batches))
        images = np.concatenate([*batches, *self._held_out(draw, done, len(held_out), name)])
        by_caption_set = {}
        for turn, (title, labelled) in enumerate(self.reference.caption_sets.items(), start=1):
            seeds = range(turn * SEEDS_APART, turn * SEEDS_APART + len(labelled))
            by_caption_set[title] = np.concatenate(self._draw(draw, labelled.captions, seeds, name))
        by_prompt, captions = self._several(draw, self.fixed_prompts, name), self.reference.open_captions
        by_open_caption = self._several(draw, captions.captions, name) if captions else None
        source = SourceImages(self.reference, images, held_out, by_caption_set, by_prompt, by_open_caption)
        return measure(name, source, self.figures)

    def _several(self, draw: Draw, prompts: Sequence[str], name: str) -> Images:
        """Several seeds of each prompt: `(P, N, H, W, 3)`."""
        repeated = [prompt for prompt in prompts for _ in range(self.effort.seeds)]
        images = np.concatenate(self._draw(draw, repeated, range(len(repeated)), name))
        return images.reshape(len(prompts), self.effort.seeds, *images.shape[1:])

    def restored(self, autoencoder: RoundTrip) -> Restored | None:
        """What the autoencoder leaves of the held-out reals; None where it leaves them as they are."""
        images = self.reference.held_out.images
        back = autoencoder(images)
        if np.array_equal(back, images):
            return None
        return Restored(
            psnr=sharpness.mean_psnr(images, back),
            detail=sharpness.laplacian(back) / sharpness.laplacian(images),
            fd=self.reference.judge_distance(back),
        )

    def _held_out(self, draw: Draw, start: int, stop: int, title: str) -> list[Images]:
        return self._draw(draw, self.reference.held_out.captions[start:stop], range(start, stop), title)

    def _draw(self, draw: Draw, prompts: Sequence[str], seeds: range, title: str) -> list[Images]:
        return drawn(draw, prompts, seeds, self.effort.batch, f"drawing: {title}")
