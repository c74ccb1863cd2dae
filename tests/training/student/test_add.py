"""The gates of adversarial distillation, on tiny real networks: who gets a gradient, in which range, from what."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch

from base.errors import BadInput
from data.imagefolder import ImageFolder
from models import folder as folders
from models.folder import load
from models.per_sample import per_sample
from models.pixel_tensors import from_uint8
from models.sampling import add_noise
from tests import tiny
from tests.training.student.conftest import ALONE, Opened, batch, draws
from training import launch
from training.latents import Latents
from training.run.draws import Draws
from training.student.add import AddMethod
from training.student.adversarial import Adversarial
from training.student.distillation import Distillation
from training.student.matching import Matching
from training.student.regression import Regression
from training.student.student_config import StudentConfig
from training.student.term import Term


def size(gradients: Sequence[torch.Tensor | None]) -> float:
    return sum(float(gradient.abs().sum()) for gradient in gradients if gradient is not None)


T = TypeVar("T", bound=Term[Any])


def term(method: AddMethod, kind: type[T]) -> T:
    """The method's term of a kind."""
    (found,) = (term for term in method.terms.values() if isinstance(term, kind))
    return found


def fakes_of_other_images(method: AddMethod) -> tuple[torch.Tensor, torch.Tensor]:
    """The student's samples of some images, and of others with the same noise."""
    first = batch(method, 3).fake
    (images,) = method.training_set.latents.parts
    method.training_set.latents = Latents.alike(images.values * -7)
    return first, batch(method, 3).fake


PARTS: list[dict[str, Any]] = [
    {},
    {"adversarial__game": "hinge"},
    {"adversarial__game": "non-saturating", "adversarial__penalty": "r1"},
    {"adversarial__penalty": "approximate"},
    {"adversarial__penalty": "none"},
    {"adversarial__reals": "teacher"},
    {"adversarial__samples": 2},
    {"adversarial__reals": "both"},
    {"distillation__weighting": "constant"},
    {"distillation__weighting": "sds", "distillation__distance": "pixels"},
    {"distillation__weighting": "nfsd"},
    {"distillation__steps": 4},
    {"own_outputs": 0.5},
    {"reduce": {"block_out_channels": [8, 16]}},
]


@pytest.mark.parametrize("changes", PARTS, ids=lambda changes: "-".join(map(str, changes.values())) or "default")
def test_every_option_teaches_the_student_and_nobody_else(opened: Opened, changes: dict[str, Any]) -> None:
    method = opened(**changes)
    terms = method.generator_step(batch(method))
    assert {"adversarial", "distillation", "matching", "regression"} < set(terms)
    for name, term in terms.items():
        gradients = torch.autograd.grad(term, method.student.parameters(), retain_graph=True, allow_unused=True)
        assert 0 < size(gradients) < float("inf"), name
    frozen = [*method.teacher.denoiser.parameters(), *method.teacher.conditioner.parameters()]
    assert not any(weight.requires_grad for weight in frozen)


@pytest.mark.parametrize("changes", PARTS[:7], ids=lambda changes: "-".join(map(str, changes.values())) or "default")
def test_every_option_teaches_the_heads_and_not_the_student(opened: Opened, changes: dict[str, Any]) -> None:
    method = opened(**changes)
    game = term(method, Adversarial)
    ours, heads = method.student.parameters(), list(game.discriminator.parameters())
    total = game.discriminator_step(batch(method))["total"]
    gradients = torch.autograd.grad(total, [*ours, *heads], allow_unused=True)
    assert size(gradients[: len(ours)]) == 0
    assert 0 < size(gradients[len(ours) :]) < float("inf")


def test_the_fake_score_learns_alone(method: AddMethod) -> None:
    matching = term(method, Matching)
    ours, score = method.student.parameters(), matching.parameters()
    total = matching.fake_score_step(batch(method))["total"]
    gradients = torch.autograd.grad(total, [*ours, *score], allow_unused=True)
    assert size(gradients[: len(ours)]) == 0 < size(gradients[len(ours) :])


def test_a_lora_is_a_small_fake_score_that_starts_as_the_teacher(opened: Opened) -> None:
    small, whole = (term(method, Matching) for method in (opened(matching__rank=2), opened()))
    counts = [sum(map(torch.numel, matching.parameters())) for matching in (small, whole)]
    assert 0 < counts[0] < counts[1] / 10
    fake, conditioning = torch.randn(4, 4, 4, 4), small.teacher.condition(["red"] * 4)
    assert torch.allclose(
        small.fake_score_loss(fake, conditioning, draws()),
        whole.fake_score_loss(fake, conditioning, draws()),
        rtol=1e-4,
    )


def test_matching_is_at_rest_where_the_scores_agree_and_guidance_is_off(opened: Opened) -> None:
    matching = term(opened(matching__guidance=1.0), Matching)
    fake = torch.randn(4, 4, 4, 4, requires_grad=True)
    loss = matching.distribution_matching_loss(fake, matching.teacher.condition(["red"] * 4), draws())
    (gradient,) = torch.autograd.grad(loss, fake)
    assert float(gradient.abs().max()) < 1e-6


def test_student_and_teacher_are_two_objects_with_the_same_start(method: AddMethod) -> None:
    pairs = zip(method.student.network.parameters(), method.teacher.denoiser.parameters(), strict=True)
    for ours, theirs in pairs:
        assert ours is not theirs
        assert ours.data_ptr() != theirs.data_ptr()
        assert torch.equal(ours, theirs)


def test_equal_samples_look_equal_to_the_heads_from_both_sides(method: AddMethod) -> None:
    game, some = term(method, Adversarial), batch(method)
    real, conditioning = some.real, some.conditioning
    assert game.figures(real, real.clone(), conditioning, draws()) == {"accuracy": 0.0}
    equal = game.discriminator_loss(real, real.clone(), conditioning, draws())["game"]
    assert float(equal) == pytest.approx(math.log(2), rel=1e-5)


@pytest.mark.parametrize(("penalty", "rounding"), [("r1+r2", 1e-4), ("approximate", 1e-3)])  # differences round more
def test_parts_of_a_batch_have_the_penalty_of_the_whole(opened: Opened, penalty: str, rounding: float) -> None:
    method = opened(adversarial__penalty=penalty)
    game, conditioning = term(method, Adversarial), method.teacher.condition(["red", "blue", "green", "red"])
    real, fake = torch.randn(2, 4, 4, 4, 4)

    def loss(*rows: int) -> float:
        part, chosen = Draws.at(0, 0, rows, torch.device("cpu")), conditioning.map(lambda array: array[[*rows]])
        return float(game.discriminator_loss(real[[*rows]], fake[[*rows]], chosen, part)["penalty"])

    whole = loss(0, 1, 2, 3)
    assert whole > 0 and (loss(0, 2) + loss(1, 3)) / 2 == pytest.approx(whole, rel=rounding)
    assert (loss(0) + loss(1) + loss(2) + loss(3)) / 4 == pytest.approx(whole, rel=rounding)


def test_reals_are_the_encoded_images(method: AddMethod, data: Path) -> None:
    real = method.training_set.batch([5], draws(count=1)).real
    images = from_uint8(ImageFolder(data, "train").images([5]))
    with torch.no_grad():
        assert torch.allclose(real, method.teacher.autoencoder.encode(images), atol=1e-5)


def test_teacher_samples_count_as_real_with_their_own_captions(opened: Opened) -> None:
    method = opened(adversarial__reals="both")
    some, pairs = batch(method), batch(method).pairs
    samples = [int((pairs.samples == sample).flatten(1).all(1).sum()) > 0 for sample in some.real]
    assert samples == [False, True, False, True]
    index = int((pairs.samples == some.real[1]).flatten(1).all(1).nonzero()[0])
    own = method.training_set.condition(pairs.ids[index : index + 1]).arrays()["encoder_hidden_states"]
    assert torch.allclose(some.conditioning.arrays()["encoder_hidden_states"][1:2], own, atol=1e-5)


def test_a_batch_in_parts_sees_the_reals_of_the_whole(opened: Opened) -> None:
    """Also in parts of one sample, and of every other one, which two processes have."""
    method = opened(adversarial__reals="both")
    whole, device = batch(method).real, torch.device("cpu")
    for places in ([0], [1], [0, 2], [1, 3]):
        part = method.training_set.batch(places, Draws.at(0, 0, places, device))
        assert torch.equal(part.real, whole[places])


@pytest.mark.parametrize(
    "teacher", [{}, {"prediction_type": "sample"}, {"prediction_type": "epsilon", "rescale_betas_zero_snr": False}]
)
def test_at_the_last_timestep_the_student_sees_pure_noise(
    opened: Opened, tmp_path: Path, teacher: dict[str, Any]
) -> None:
    folders.save(tiny.teacher(**teacher), tmp_path / "other")
    method = opened(teacher=str(tmp_path / "other"), timesteps={"999": 1.0}, run="other")
    first, other = fakes_of_other_images(method)
    assert torch.isfinite(first).all()
    assert torch.equal(first, other)


def test_an_epsilon_teachers_student_can_learn_v(opened: Opened, tmp_path: Path) -> None:
    folders.save(tiny.teacher(prediction_type="epsilon", rescale_betas_zero_snr=False), tmp_path / "epsilon")
    method = opened(teacher=str(tmp_path / "epsilon"), prediction="v_prediction", run="v")
    assert method.student.schedule.prediction_type == "v_prediction"
    assert method.student.schedule.alpha[-1] == 0.0 < method.teacher.schedule.alpha[-1]
    assert method.student.scheduler["rescale_betas_zero_snr"] is True


def test_later_steps_see_the_students_own_outputs(opened: Opened) -> None:
    method = opened(own_outputs=1.0, timesteps={"999": 0.0, "499": 1.0})
    first, other = fakes_of_other_images(method)
    assert torch.equal(first, other), "no real is left in it"


def test_a_random_start_shares_nothing_with_the_teacher(opened: Opened) -> None:
    method = opened(start="random")
    pairs = zip(method.student.network.parameters(), method.teacher.denoiser.parameters(), strict=True)
    assert not any(torch.equal(ours, theirs) for ours, theirs in pairs if ours.ndim > 1)


def test_a_student_goes_on_from_an_earlier_one(opened: Opened, tmp_path: Path) -> None:
    earlier = opened(reduce={"block_out_channels": [8, 16]}, run="earlier")
    earlier.save(tmp_path / "earlier", {"student": earlier.student.network})
    method = opened(start=str(tmp_path / "earlier"), run="later")
    assert method.student.network.config["block_out_channels"] == [8, 16]
    for ours, theirs in zip(method.student.parameters(), earlier.student.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert ours.requires_grad


def test_an_earlier_student_can_be_reduced(opened: Opened, tmp_path: Path) -> None:
    earlier = opened(run="earlier")
    with torch.no_grad():
        earlier.student.network.conv_in.weight.mul_(2)  # type: ignore[union-attr, operator]
    earlier.save(tmp_path / "earlier", {"student": earlier.student.network})
    smaller: Any = opened(start=str(tmp_path / "earlier"), reduce={"mid_block_type": None}, run="later").student.network
    assert smaller.mid_block is None
    theirs = earlier.student.network.state_dict()
    for name, ours in smaller.state_dict().items():
        assert torch.equal(ours, theirs[name]), name


def test_a_start_that_is_no_student_of_this_teacher_is_refused(opened: Opened, tmp_path: Path) -> None:
    folders.save(tiny.teacher(prediction_type="epsilon", rescale_betas_zero_snr=False), tmp_path / "epsilon")
    with pytest.raises(BadInput, match=r"start: .* predicts epsilon, and this student is to predict v_prediction"):
        opened(start=str(tmp_path / "epsilon"))
    folders.save(tiny.xl_teacher(), tmp_path / "xl")
    with pytest.raises(BadInput, match=r"start: .* has cross_attention_dim \d+, its teacher \d+"):
        opened(start=str(tmp_path / "xl"))


@pytest.mark.parametrize("change", [{}, {"reduce": {"block_out_channels": [8, 16]}}, {"start": "random"}])
def test_every_student_computes_as_the_loop_says(opened: Opened, change: dict[str, Any]) -> None:
    student: Any = opened(loop__checkpointing=True, loop__attention="math", **change).student.network
    assert student.is_gradient_checkpointing
    assert {type(processor).__name__ for processor in student.attn_processors.values()} == {"AttnProcessor"}


def test_one_batch_can_be_overfitted_by_the_warm_up(method: AddMethod) -> None:
    regression = term(method, Regression)
    optimizer = torch.optim.AdamW(method.student.parameters(), 3e-3)
    first = last = 0.0
    for step in range(80):
        total = regression.regression_step(batch(method, count=1))["total"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        first, last = (float(total), float(total)) if step == 0 else (first, float(total))
    assert last < first / 4


@pytest.mark.parametrize("weighting", ["exponential", "constant", "sds", "nfsd"])
def test_the_distillation_gradient_leads_to_the_teachers_view_and_nowhere_else(opened: Opened, weighting: str) -> None:
    distillation = term(opened(distillation__weighting=weighting), Distillation)
    fake = torch.randn(4, 4, 4, 4, requires_grad=True)
    conditioning = distillation.teacher.condition(["red"] * 4)
    (gradient,) = torch.autograd.grad(distillation.distillation_loss(fake, conditioning, draws()), fake)
    again = draws()
    share = again.uniform() if weighting in ("exponential", "constant") else 0.02 + 0.96 * again.uniform()
    timesteps = (share * 1000).long()
    with torch.no_grad():
        noisy = add_noise(fake, again.normal(4, 4, 4), *distillation.tables.at(timesteps))
        if weighting == "nfsd":
            away = distillation._noise_free(noisy, timesteps, conditioning)
        else:
            away = fake - distillation._denoised(noisy, timesteps, conditioning)
    weights = per_sample(distillation._weights(timesteps))
    assert float(gradient.abs().sum()) > 0
    assert torch.allclose(gradient, 2 * weights * away / fake.numel(), atol=1e-6)


def test_score_distillations_weight_gives_score_distillations_gradient(opened: Opened) -> None:
    distillation = term(opened(distillation__weighting="sds", distillation__guidance=1.0), Distillation)
    fake = torch.randn(1, 4, 4, 4, requires_grad=True)
    conditioning = distillation.teacher.condition(["red"])
    (gradient,) = torch.autograd.grad(distillation.distillation_loss(fake, conditioning, draws(count=1)), fake)
    again = draws(count=1)
    timesteps = ((0.02 + 0.96 * again.uniform()) * 1000).long()
    noise, (alpha, sigma) = again.normal(4, 4, 4), distillation.tables.at(timesteps)
    with torch.no_grad():
        predicted = distillation._epsilon(fake * alpha + noise * sigma, timesteps, conditioning)
    by_hand = sigma**2 * (predicted - noise) / fake.numel()  # w(t) = σ² (DreamFusion, equation 3)
    assert torch.allclose(gradient, by_hand, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"adversarial": None, "distillation": None, "matching": None, "regression": 0.0}, "no term is left"),
        ({"own_outputs": 0.5, "timesteps": {"999": 1.0}}, "several timesteps"),
        ({"reduce": {"layers_per_block": 1}, "warmup": 0}, "must be healed"),
        ({"reduce": {"layers_per_block": 1}, "start": "random"}, "start must be teacher or an earlier"),
        ({"start": "no/such-student"}, "no/such-student"),
        ({"adversarial__game": "hinge", "loop__batch": 1}, "degenerate"),
        ({"adversarial__features": "no/such-network"}, "vision transformer"),
        ({"adversarial__gama": 1.0}, "did you mean 'gamma'"),
        ({"adversarail": None}, "did you mean 'adversarial'"),
        ({"adversarial__game": "wasserstein"}, "relativistic"),
        ({"distillation__weighting": "cubic"}, "exponential"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(opened: Opened, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        opened(**changes)


def test_a_run_trains_through_all_phases_and_saves_a_student(config: StudentConfig, runs: Path, tmp_path: Path) -> None:
    config.write(tmp_path / "student.yaml")
    launch.launch("student", tmp_path / "student.yaml")
    student = load(runs / "student" / "model")
    assert student.scheduler["_class_name"] == "LCMScheduler"
    assert student.generate(["red", "blue"], [1, 2], steps=4).shape == (2, 16, 16, 3)
    logged = (runs / "student" / "metrics.jsonl").read_text()
    for name in (
        "warmup/total", "discriminator/penalty", "score/total", "generator/adversarial", "validation/score",
        "validation/watch/accuracy-held-out", "validation/watch/spread", "validation/share/matching",
    ):  # fmt: skip
        assert name in logged


@pytest.mark.parametrize("changes, imitates", [({}, False), (ALONE, True)], ids=["game", "imitates"])
def test_a_student_that_only_imitates_is_chosen_by_how_near_it_comes_to_its_teacher(
    opened: Opened, changes: dict[str, Any], imitates: bool
) -> None:
    method = opened(**changes)
    with torch.no_grad():
        figures = method.validate({"student": method.student.network})
    assert ("distance" in figures) is imitates
    assert figures["score"] != figures.get("distance")


def test_the_teachers_own_walk_misses_itself_by_nothing(opened: Opened) -> None:
    method = opened(**ALONE)
    with torch.no_grad():
        ((_, checks),) = method.checks
        assert checks.figures(checks._guided, (), "teacher")["score"] == 0


def test_heads_that_know_nothing_yet_are_not_watched(config: StudentConfig, runs: Path, tmp_path: Path) -> None:
    loop = config.loop.model_copy(update={"steps": 4, "validate_every": 1, "log_every": 1})
    config.model_copy(update={"warmup": 2, "loop": loop}).write(tmp_path / "student.yaml")
    launch.launch("student", tmp_path / "student.yaml")
    lines = [json.loads(line) for line in (runs / "student" / "metrics.jsonl").read_text().splitlines()]
    validated = {line["step"]: line for line in lines if "validation/score" in line}
    assert ["validation/watch/accuracy" in validated[step] for step in (1, 2, 3, 4)] == [False, False, True, True]


def test_a_student_of_pixels_is_distilled_by_the_same_method(
    config: StudentConfig, data: Path, runs: Path, tmp_path: Path
) -> None:
    folders.save(tiny.pixel_teacher(), tmp_path / "pixels")
    labelled = config.model_copy(update={"teacher": str(tmp_path / "pixels"), "captions": ["label"]})
    labelled.write(tmp_path / "student.yaml")
    launch.launch("student", tmp_path / "student.yaml")
    student = load(runs / "student" / "model")
    assert (student.task, student.scheduler["_class_name"]) == ("class-to-image", "LCMScheduler")
    assert student.generate(["red", 2], [1, 2], steps=4).shape == (2, 16, 16, 3)
