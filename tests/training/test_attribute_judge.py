"""Attributes through teacher, pairs and student, on tiny real networks and drawn characters."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from base.config import Config
from base.errors import BadInput
from data.attributed import SLOTS
from data.avatars import avatars
from data.avatars_art import slots
from models import folder as folders
from models.pixel_tensors import from_uint8
from tests import tiny
from training.attribute_judge import AttributeJudgeMethod, AttributeJudgeTraining
from training.run.draws import Draws
from training.run.loop_config import LoopConfig
from training.scored import Scored
from training.student import pairs
from training.student.add import AddMethod
from training.student.pairs import PairsConfig
from training.student.student_config import StudentConfig
from training.teacher import TeacherMethod
from training.teacher_config import TeacherConfig

UNET = {**tiny.UNET, "sample_size": 24}
CONFIGS = Path(__file__).parents[2] / "configs/avatars"


@pytest.fixture(scope="module")
def characters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return avatars(tmp_path_factory.mktemp("data") / "avatars", 160).folder


def teacher_config(data: Path, **changes: Any) -> TeacherConfig:
    attributes = json.loads((data / SLOTS).read_text())
    values = {
        "run": "teacher",
        "data": str(data),
        "captions": ["attributes"],
        "base": {"family": "ddpm", "width": 8, "attributes": attributes, "unet": UNET},
        "train_conditioner": True,
        "attribute_dropout": 0.5,
        "optimizer": {"rate": 1e-3},
        "loop": {"steps": 2, "batch": 4},
    }
    return TeacherConfig.parse({**values, **changes}, "test")


def draws(count: int = 4, seed: int = 0) -> Draws:
    return Draws.at(seed, 0, range(count), torch.device("cpu"))


def test_the_teacher_learns_with_its_table_and_draws(characters: Path, runs: Path) -> None:
    method = TeacherMethod(teacher_config(characters))
    losses = method.denoise([0, 1, 2, 3], draws())
    table = method.pipeline.conditioner
    gradients = torch.autograd.grad(losses["total"], [table.embedding, table.null])
    assert all(0 < float(gradient.abs().sum()) < float("inf") for gradient in gradients)
    with torch.no_grad():
        assert method.validate(method.modules)["score"] > 0
    assert method.samples(method.modules).shape[2] == 3


def test_every_attribute_is_dropped_by_itself(characters: Path, runs: Path) -> None:
    method = TeacherMethod(teacher_config(characters, attribute_dropout=0.3))
    ids = method.captions.ids[:, 0]
    everyone = draws(len(ids))
    freed = method._freed(ids, everyone)
    assert bool(((freed == ids) | (freed == 0)).all())
    assert float(freed.sum() / ids.sum()) == pytest.approx(0.7, abs=0.1)
    kept, whole = (freed > 0).sum(dim=1), (ids > 0).sum(dim=1)
    assert bool(((kept > 0) & (kept < whole)).any()), "some, but not all, of one character"


def test_without_attributes_there_is_nothing_to_drop(data: Path, runs: Path, tmp_path: Path) -> None:
    folders.save(tiny.pixel_teacher(), tmp_path / "teacher")
    with pytest.raises(BadInput, match="attribute_dropout is for a base whose inputs are attributes"):
        TeacherMethod(teacher_config_of_labels(data, tmp_path / "teacher"))
    for key, value in {"free": 0.5, "plain": 0.5, "exchanged": 0.5, "weights": [0, 2]}.items():
        with pytest.raises(BadInput, match=f"pairs.{key} is for a teacher whose inputs are attributes"):
            pairs.check(PairsConfig.parse({key: value}, "pairs"), tiny.pixel_teacher())


@pytest.mark.parametrize("weights", [[2, 0], [-1, 1], [0, 4]])
def test_a_range_of_weights_goes_up_from_0_to_the_heaviest(weights: list[float]) -> None:
    with pytest.raises(BadInput, match="weights: accepted are a smallest and a largest weight from 0 to 3"):
        PairsConfig.parse({"weights": weights}, "pairs")


def teacher_config_of_labels(data: Path, base: Path) -> TeacherConfig:
    values = {"run": "t", "data": str(data), "captions": ["label"], "base": str(base), "attribute_dropout": 0.5}
    return TeacherConfig.parse({**values, "optimizer": {}, "loop": {"steps": 1}}, "test")


def test_pairs_have_uniform_weights_and_free_attributes(runs: Path) -> None:
    teacher = tiny.attribute_teacher()
    ids = teacher.conditioner.tokenize(["Man, Fez, Pipe", "Ape, Cap, Pipe"])
    config = PairsConfig(count=600, steps=1, guidance=1.0, weights=(0.0, 3.0), free=0.25)
    found = pairs.draw(teacher, ids, config, [999])
    assert found.samples.shape == (600, 3, 8, 8) and found.ids.shape == (600, 6)
    asked = found.ids[:, [0, 1]].sum(dim=1)  # one of the two types, in every pair
    assert float((asked == 0).float().mean()) == pytest.approx(0.25, abs=0.06)
    weights = asked[asked > 0]
    assert 0 < float(weights.min()) < 0.1 and 2.9 < float(weights.max()) <= 3
    assert float(weights.mean()) == pytest.approx(1.5, abs=0.15)
    assert bool((found.ids[:, 3] == 0).all()), "what the data never asks for"
    assert torch.equal(found.ids, pairs.draw(teacher, ids, config, [999]).ids)


def test_a_share_of_the_pairs_asks_as_the_data_says(runs: Path) -> None:
    teacher = tiny.attribute_teacher()
    ids = teacher.conditioner.tokenize(["Man, Fez, Pipe"])
    config = PairsConfig(count=400, steps=1, guidance=1.0, weights=(0.0, 0.5), free=0.25, plain=0.5)
    as_said = (pairs.draw(teacher, ids, config, [999]).ids == ids).all(dim=1)
    assert float(as_said.float().mean()) == pytest.approx(0.5, abs=0.08)


def test_attributes_are_exchanged_for_others_of_their_slots(runs: Path) -> None:
    teacher = tiny.attribute_teacher()
    ids = teacher.conditioner.tokenize(["Man, Fez"])
    found = pairs.draw(teacher, ids, PairsConfig(count=400, steps=1, guidance=1.0, exchanged=0.5), [999]).ids
    sizes = [len(names) for names in teacher.slots.values()]
    for now, before in zip(found.split(sizes, dim=1), ids.split(sizes, dim=1), strict=True):
        assert bool((now.sum(dim=1) == before.sum()).all()), "one of every slot that holds any, none where none was"
        if before.sum():
            kept = float((now == before).all(dim=1).float().mean())
            assert kept == pytest.approx(0.5 + 0.5 / now.shape[1], abs=0.1)
            assert bool((now.sum(dim=0) > 0).all()), "all of the slot come in turn"


@torch.no_grad()
def test_a_pair_is_the_teachers_composed_sample(runs: Path) -> None:
    teacher = tiny.attribute_teacher()
    ids = teacher.conditioner.tokenize(["Man, Fez"])
    found = pairs.draw(teacher, ids, PairsConfig(count=2, steps=1, guidance=1.0, weights=(0.0, 3.0)), [999])
    _, noise, ends = found.at(torch.arange(2), torch.full((2,), 999))
    guided = teacher.denoise(teacher.conditioner(found.ids), 1.0)(noise, 999)
    last = teacher.schedule
    expected = noise * last.alpha[-1] - guided * last.sigma[-1]
    assert torch.allclose(ends, expected, atol=1e-4)


def test_every_term_of_a_student_takes_weights(characters: Path, runs: Path, tmp_path: Path) -> None:
    method = TeacherMethod(teacher_config(characters))
    method.save(tmp_path / "teacher", method.modules)
    rate = {"rate": 1e-3}
    values = {
        "run": "student",
        "teacher": str(tmp_path / "teacher"),
        "data": str(characters),
        "captions": ["attributes"],
        "pairs": {"count": 8, "steps": 2, "guidance": 1.0, "weights": [0, 3], "free": 0.2},
        "warmup_optimizer": rate,
        "optimizer": rate,
        "adversarial": {"discriminator": rate, "width": 8, "reals": "both"},
        "consistency": {},
        "distillation": {},
        "matching": {"optimizer": rate},
        "loop": {"steps": 2, "batch": 4},
    }
    student = AddMethod(StudentConfig.parse(values, "test"))
    student.prepare()
    batch = student.training_set.batch([0, 1, 2, 3], draws())
    terms = student.generator_step(batch)
    assert {"adversarial", "consistency", "distillation", "matching", "regression"} < set(terms)
    for name, term in terms.items():
        found = torch.autograd.grad(term, student.student.parameters(), retain_graph=True, allow_unused=True)
        assert 0 < sum(float(part.abs().sum()) for part in found if part is not None) < float("inf"), name
    for phase in student.phases(2):
        assert phase.loss([0, 1, 2, 3], draws())["total"].isfinite()
    with torch.no_grad():
        assert student.validate({"student": student.student.network})["score"] >= 0
    student.save(tmp_path / "student", {"student": student.student.network})
    opened = folders.load(tmp_path / "student")
    assert opened.slots == slots() and opened.generate(["Zombie, Cap=2", ""], [0, 1]).shape == (2, 24, 24, 3)


@pytest.mark.parametrize(("name", "config"), [("teacher", TeacherConfig), ("student", StudentConfig)])
def test_the_configurations_that_ship_are_valid(name: str, config: type[Config]) -> None:
    assert config.load(CONFIGS / f"{name}.yaml").run == f"avatars/{name}"  # type: ignore[attr-defined]


def test_the_teacher_that_ships_knows_every_attribute() -> None:
    base: Any = TeacherConfig.load(CONFIGS / "teacher.yaml").base
    assert {slot: tuple(names) for slot, names in base.attributes.items()} == slots()


def test_the_attribute_judge_trains_on_every_slot(characters: Path, data: Path, runs: Path) -> None:
    config = AttributeJudgeTraining.load(CONFIGS / "attribute-judge.yaml", [f"data={characters}"])
    method = AttributeJudgeMethod(config)
    assert [*method.judge.config.slots] == [*slots().values()]
    loss = method.classify([0, 1, 2, 3], draws())["total"]
    (gradient,) = torch.autograd.grad(loss, [method.judge.classify])
    assert bool((gradient.abs().sum(dim=1) > 0).all()), "every attribute, and nothing in every slot"
    assert 0 <= method.validate(method.modules)["accuracy"] <= 1
    with pytest.raises(BadInput, match="holds no slots"):
        AttributeJudgeMethod(AttributeJudgeTraining.load(CONFIGS / "attribute-judge.yaml", [f"data={data}"]))


def test_attributes_of_another_set_name_where_slots_stand(characters: Path, runs: Path) -> None:
    base = {"family": "ddpm", "width": 8, "attributes": {"type": ["Fire", "Water"]}, "unet": UNET}
    with pytest.raises(
        BadInput, match=r"attribute '.*' is unknown; .*one of each slot: type \(Fire, Water\); .*slots\.json"
    ):
        TeacherMethod(teacher_config(characters, base=base))


def test_the_judge_says_what_it_does_not_see(characters: Path, runs: Path, tmp_path: Path) -> None:
    config = AttributeJudgeTraining.load(CONFIGS / "attribute-judge.yaml", [f"data={characters}"])
    method = AttributeJudgeMethod(config)
    assert method.shares is not None and method.shares.max() > 1.5 * method.shares.min(), "balanced by name"
    assert AttributeJudgeMethod(config.model_copy(update={"loop": LoopConfig(steps=1, balance=0)})).shares is None
    method.scored = Scored([], list(range(40)), [])
    with torch.no_grad():
        figures = method.validate(method.modules)
    assert figures["score"] == -figures["accuracy"] and 0 <= figures["mean over names"] <= 1
    # It calls no type by its name in any image, and never will.
    with torch.no_grad():
        own = method.judge.embed(from_uint8(method.train_images.images(range(40)))).mean(dim=0)
        types = len(method.judge.config.slots[0])
        method.judge.classify[: types + 1] = -own
        method.judge.classify[types] = own
    method.save(tmp_path / "model", method.modules)
    mean, least, blind, absent = method.closing(tmp_path / "model")
    assert least.startswith("seen least on real images: ")
    assert mean.startswith("the mean over ") and blind.startswith("it does not see in real images: ")
    shown = Counter(name for names in method.train_images.column("attributes")[:40] for name in names)
    common, _ = Counter({name: shown[name] for name in method.judge.config.slots[0]}).most_common(1)[0]
    assert f"{common} 0 of {shown[common]}" in blind
    assert absent.startswith("no image that it is scored on shows ")
    for name in (name for slot in method.judge.config.slots for name in slot):
        assert (name in absent) == (name not in shown)
