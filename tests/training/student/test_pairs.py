"""Pairs of a tiny teacher: where it starts, at every timestep of the student, leads to where it ended."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models import sampling
from tests import tiny
from training.student import pairs
from training.student.pairs import PairsConfig

TIMESTEPS = (999, 499, 249)
CONFIG = PairsConfig(count=6, steps=8, guidance=1.5, later=0.5)


@pytest.fixture(autouse=True)
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("IPPO_RUNS", str(tmp_path))
    return tmp_path


def test_the_teacher_walks_from_every_start_to_its_end() -> None:
    teacher = tiny.teacher()
    ids = teacher.conditioner.tokenize(["red", "blue", "green"])  # type: ignore[operator]
    drawn = pairs.draw(teacher, ids, CONFIG, TIMESTEPS)
    assert [len(drawn.ends[timestep]) for timestep in TIMESTEPS] == [6, 3, 3]
    schedule = teacher.schedule
    for timestep, steps in ((999, 8), (499, 4), (249, 2)):
        places, noise, ends = drawn.at(torch.tensor([0, 4, 5]), torch.full((3,), timestep))
        assert places.tolist() == ([0, 4, 5] if timestep == 999 else [0, 1, 2])
        noisy = sampling.add_noise(drawn.samples[places], noise, schedule.alpha[timestep], schedule.sigma[timestep])
        denoise = teacher.denoise(teacher.conditioner(drawn.ids[places]), CONFIG.guidance)
        with torch.no_grad():
            ours = sampling.ddim(denoise, noisy, schedule.trailing(steps, timestep), schedule)
        assert torch.allclose(ours, ends, atol=1e-4)


def test_noise_differs_from_pair_to_pair_and_from_timestep_to_timestep() -> None:
    teacher = tiny.teacher()
    drawn = pairs.draw(teacher, teacher.conditioner.tokenize(["red"]), CONFIG, TIMESTEPS)  # type: ignore[operator]
    noises = [drawn.at(torch.arange(3), torch.full((3,), timestep))[1] for timestep in TIMESTEPS]
    flat = torch.cat(noises).flatten(1)
    assert len(torch.unique(flat, dim=0)) == len(flat)
    again = drawn.at(torch.tensor([2, 0, 1]), torch.tensor([499, 249, 999]))[1]
    assert torch.equal(again, torch.stack([noises[1][2], noises[2][0], noises[0][1]]))


def test_students_of_other_timesteps_share_what_is_the_same(runs: Path) -> None:
    teacher = tiny.teacher()
    ids = teacher.conditioner.tokenize(["red"])  # type: ignore[operator]
    few, more = pairs.draw(teacher, ids, CONFIG, (999, 249)), pairs.draw(teacher, ids, CONFIG, TIMESTEPS)
    assert len(list((runs / "cache").iterdir())) == 3
    assert torch.equal(few.ends[249], more.ends[249])


def test_another_caption_in_the_middle_and_other_latents_are_other_pairs(runs: Path) -> None:
    teacher = tiny.teacher()
    ids = teacher.conditioner.tokenize(["red", "blue", "green"])  # type: ignore[operator]
    other = teacher.conditioner.tokenize(["red", "yellow", "green"])  # type: ignore[operator]
    few = PairsConfig(count=3, steps=1)
    first = pairs.draw(teacher, ids, few, [999])
    assert not torch.equal(pairs.draw(teacher, other, few, [999]).samples, first.samples)
    teacher.latent_shape = (4, 8, 8)
    assert pairs.draw(teacher, ids, few, [999]).samples.shape == (3, 4, 8, 8)
    assert len(list((runs / "cache").iterdir())) == 3
