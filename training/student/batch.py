"""What a step of a student's training is made of: images as latents, captions, pairs, and the student's own samples.

It knows no losses. Shapes: `N` batch, `C` channels, `h w` latent, `S` tokens.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from base.errors import BadInput
from base.runs import data_folder
from data.imagefolder import ImageFolder
from models.conditioning import Conditioning
from models.per_sample import per_sample
from models.task import task_of
from training.examples import examples
from training.latents import Alike
from training.run.device import mixed_precision
from training.run.draws import Draws
from training.student import pairs
from training.student.checks import WALKS, Checks, Split
from training.student.student_network import Student
from training.texts import Texts

if TYPE_CHECKING:
    from training.student.student_config import StudentConfig


class TrainingSet:
    """An image set and a student's teacher: what batches are made of."""

    def __init__(self, config: StudentConfig, student: Student) -> None:
        """Open the set and read its captions. BadInput: there is no such set, or captions or pairs of another kind."""
        self.config, self.student, self.teacher = config, student, student.teacher
        pairs.check(config.pairs, self.teacher)
        source = data_folder(config.data)
        train, held_out = self.splits = [
            examples(self.teacher, ImageFolder(source, split), config.captions, config.contexts)
            for split in ("train", "validation")
        ]
        self.captions, self.held_out_captions = train.rows, held_out.rows
        self.scored = self.captions.scored(self.held_out_captions, WALKS)
        weights = "weights" in task_of(self.teacher).conditioner_inputs
        self.shares = self.captions.shares(config.loop.balance, weights)
        self.texts: Texts | None = None

    def __len__(self) -> int:
        return len(self.splits[0])

    def _asked(self, train: Container[int], held_out: Container[int]) -> Tensor:
        """Ids `(N, S)` of the captions, of these rows, that a student which imitates its teacher is scored on."""
        rows = self.scored
        return torch.cat(
            [
                self.held_out_captions.ids[[row for row in rows.held_out if row in held_out], 0],
                self.captions.ids[[row for row in rows.train if row in train], 0],
            ]
        )

    def prepare(self) -> None:
        """Encode all images, and all captions where those are cached. BadInput: images of another size."""
        self.latents, self.held_out_latents = (split.latents() for split in self.splits)
        if self.config.cache_text:
            self.texts = Texts(self.teacher, self.captions.ids.flatten(0, 1))

    @cached_property
    def pairs(self) -> Mapping[tuple[int, int, int], pairs.Pairs]:
        """Shape `(C, h, w)` → where the guided teacher starts and ends; sampled when first asked for, which takes long.

        Every bucket has as many pairs as it has pictures.
        """
        config = self.config
        with torch.autocast(
            self.teacher.device.type, torch.bfloat16, enabled=mixed_precision(config.loop.precision) == "bf16"
        ):
            return {
                part.shape: pairs.draw(
                    replace(self.teacher, latent_shape=part.shape),
                    self.captions.ids[part.rows].flatten(0, 1),
                    config.pairs.of_share(len(part.rows) / len(self)),
                    config.timesteps,
                    None if self.shares is None else self.shares[part.rows].repeat(self.captions.ids.shape[1]),
                )
                for part in self.latents.parts
            }

    def checks(self) -> list[tuple[float, Checks]]:
        """What validates a student, shape by shape, and which share of the pictures has that shape.

        BadInput: no shape has training pictures and held-out ones.
        """
        held_out = {part.shape: part for part in self.held_out_latents.parts}
        both = [(part, held_out[part.shape]) for part in self.latents.parts if part.shape in held_out]
        if not both:
            raise BadInput(f"{self.config.data}: no bucket has pictures both to train on and held out")
        count = sum(len(part.rows) for part, _ in both)
        return [(len(part.rows) / count, self._checks(part, other, len(part.rows) / count)) for part, other in both]

    def _checks(self, part: Alike, held_out: Alike, share: float) -> Checks:
        teacher = replace(self.teacher, latent_shape=part.shape)
        train = Split(part.values, self.captions.ids[part.rows, 0])
        others = Split(held_out.values, self.held_out_captions.ids[held_out.rows, 0])
        asked = self._asked(set(part.rows), set(held_out.rows))
        asked = asked if len(asked) else train.even(WALKS).ids
        return Checks(teacher, self.student.tables, train, others, self.config.pairs, asked, share)

    @torch.no_grad()
    def condition(self, ids: Tensor) -> Conditioning:
        """Caption ids `(N, S)` → conditioning, without a gradient."""
        return (self.texts or self.teacher.conditioner)(ids)

    def batch(self, indices: Sequence[int], draws: Draws) -> Batch:
        """The batch of the images at `indices`."""
        return Batch(self, indices, draws)


class Batch:
    """One step's samples. Each is computed when it is first asked for, and random numbers are drawn in that order."""

    def __init__(self, samples: TrainingSet, indices: Sequence[int], draws: Draws) -> None:
        self.samples, self.student, self.indices, self.draws = samples, samples.student, indices, draws

    @cached_property
    def images(self) -> Tensor:
        """Latents `(N, C, h, w)` of the data."""
        return self.samples.latents[self.indices].to(self.draws.device)

    @property
    def pairs(self) -> pairs.Pairs:
        """Those of the shape that the batch's images have."""
        return self.samples.pairs[self.samples.latents.of(self.indices[0]).shape]

    @cached_property
    def image_conditioning(self) -> Conditioning:
        """The conditioning of one caption of each image, chosen at random."""
        return self.samples.condition(self._image_ids)

    @property
    def real(self) -> Tensor:
        """What counts as real `(N, C, h, w)`: the data, the guided teacher's samples, or both in turn."""
        return self._real[0]

    @property
    def conditioning(self) -> Conditioning:
        """The conditioning that `real` and `fake` share."""
        return self._real[1]

    @cached_property
    def fake(self) -> Tensor:
        """The student's x0 `(N, C, h, w)` of a noised real (ADD, section 3.1), or of its own earlier output."""
        real, conditioning, draws, student = self.real, self.conditioning, self.draws, self.student
        timesteps = student.draw_timesteps(draws)
        if share := self.samples.config.own_outputs:
            own = per_sample(draws.uniform() < share)
            real = torch.where(own, self._earlier_output(timesteps), real)
        noisy = student.add_noise(real, draws.normal(*real.shape[1:]), timesteps)
        return student.x0(noisy, timesteps, conditioning)

    @torch.no_grad()
    def _earlier_output(self, timesteps: Tensor) -> Tensor:
        """What the student's steps before `timesteps` `(N,)` drew, from pure noise on (DMD2's backward simulation)."""
        x0, student = self.real, self.student
        for step in sorted(self.samples.config.timesteps, reverse=True)[:-1]:
            now = torch.full_like(timesteps, step)
            noisy = student.add_noise(x0, self.draws.normal(*x0.shape[1:]), now)
            later = per_sample(timesteps < step)
            x0 = torch.where(later, student.x0(noisy, now, self.conditioning), x0)
        return x0

    @cached_property
    def _image_ids(self) -> Tensor:
        return self.samples.captions.draw(self.indices, self.draws)

    @cached_property
    def _real(self) -> tuple[Tensor, Conditioning]:
        source, draws = self.samples.config.real_source, self.draws
        if source == "data":
            return self.images, self.image_conditioning
        ids, pairs = self._image_ids.cpu(), self.pairs
        index = draws.integers(len(pairs)).cpu()
        # By places in the global batch: parts and processes see the reals and samples that one pass over all of it sees.
        sampled = torch.tensor([source == "teacher" or position % 2 == 1 for position in draws.positions])
        real = torch.where(per_sample(sampled), pairs.samples[index], self.images.cpu())
        ids = torch.where(sampled[:, None], pairs.ids[index], ids)
        return real.to(draws.device), self.samples.condition(ids.to(draws.device))
