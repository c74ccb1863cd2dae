"""Bases as people really have them: what their files say is obeyed or refused by name, and no weight is invented or lost."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from base.errors import BadInput
from models import folder as folders
from models.pipeline import Pipeline
from tests import tiny
from tests.models.test_stable_diffusion_file import single, write

UNET = "unet/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 3438167534\n"
BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole base."""
    folder = tmp_path_factory.mktemp("saved") / "sd"
    folders.save(tiny.teacher(), folder)
    return folder


@pytest.fixture
def base(saved: Path, tmp_path: Path) -> Path:
    """A copy of it that may be spoilt."""
    return Path(shutil.copytree(saved, tmp_path / "sd"))


def rename(file: Path, name_of: Callable[[str], str]) -> None:
    weights = {name_of(name): value.clone() for name, value in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})


def refused(base: Path, said: str) -> None:
    """Opening it, and looking at it before training, end in the same line."""
    for ask in (folders.load, folders.check):
        with pytest.raises(BadInput, match=said) as caught:
            ask(base)
        assert "\n" not in str(caught.value)


def same(ours: Pipeline, theirs: Pipeline) -> bool:
    parts = ("conditioner", "denoiser", "autoencoder")
    states = [(getattr(ours, part).state_dict(), getattr(theirs, part).state_dict()) for part in parts]
    return all(torch.equal(one[name], other[name]) for one, other in states for name in other)


def test_weights_that_are_not_here_are_named_with_what_brings_them(base: Path) -> None:
    whole = (base / UNET).read_bytes()
    (base / UNET).write_bytes(POINTER)
    refused(base, rf"{UNET} is a git-lfs pointer, .*git lfs pull")
    (base / UNET).write_bytes(whole[: len(whole) // 2])
    refused(base, rf"{UNET} is no whole .*: {len(whole) // 2:,} of {len(whole):,} bytes are here.*fetch it again")
    (base / UNET).write_bytes(whole + b"more")
    refused(base, rf"it has {len(whole) + 4:,} bytes, its head names {len(whole):,}")
    (base / UNET).unlink()
    (base / UNET).symlink_to("../.git/annex/objects/x")
    refused(base, r"is a link to content that is not here: .*git annex get")


def test_a_shard_that_is_missing_is_named(base: Path, saved: Path) -> None:
    file = base / UNET
    weights = load_file(file)
    file.unlink()
    parts = [f"diffusion_pytorch_model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    places = {name: parts[index % 2] for index, name in enumerate(weights)}
    for part in parts:
        save_file({name: weights[name].clone() for name in weights if places[name] == part}, file.with_name(part))
    index = file.with_name(f"{file.name}.index.json")
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    assert same(folders.load(base), folders.load(saved))
    file.with_name(parts[1]).unlink()
    refused(base, rf"unet/{parts[1]} is missing \(1 of 2 shards")


def test_a_tensor_that_is_missing_or_of_another_size_is_counted_and_named(base: Path) -> None:
    weights = load_file(base / UNET)
    name = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_q.weight"
    save_file({key: value for key, value in weights.items() if key != name}, base / UNET)
    refused(base, rf"{UNET} lacks 1 of {len(weights)} tensors of the UNet2DConditionModel .*{name}: fetch it again")
    save_file({**weights, name: torch.zeros(3, 3)}, base / UNET)
    refused(base, rf"{name} is \(3, 3\) there and \(32, 32\) here \(1 of {len(weights)} tensors")


def test_surplus_tensors_are_told_and_left_out(base: Path, saved: Path) -> None:
    weights = load_file(base / UNET)
    save_file({**weights, "extra.weight": torch.zeros(2), "position_ids": torch.zeros(2)}, base / UNET)
    with pytest.warns(UserWarning, match=r"1 tensors are not the .*: extra\.weight"):
        opened = folders.load(base)
    assert same(opened, folders.load(saved))


@pytest.mark.parametrize("front", ["", "clip.text_model."])
def test_a_text_encoder_under_other_names_is_the_same_one(base: Path, saved: Path, front: str) -> None:
    rename(base / TEXT, lambda name: front + name.removeprefix("text_model."))
    assert same(folders.load(base), folders.load(saved))


def test_a_text_encoder_never_starts_from_random_numbers(base: Path) -> None:
    rename(base / TEXT, lambda name: name.replace("layers", "blocks"))
    refused(base, r"lacks 16 of 20 tensors of the CLIPTextModel .*; it holds encoder\.blocks\.0\S+, .* instead")


def test_an_old_autoencoders_names_are_known(base: Path, saved: Path) -> None:
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def name_of(name: str) -> str:
        return next((name.replace(new, word) for new, word in old.items() if f".{new}." in name), name)

    rename(base / "vae/diffusion_pytorch_model.safetensors", name_of)
    assert same(folders.load(base), folders.load(saved))


SCHEDULERS: dict[str, dict[str, Any]] = {
    r"EDMDPMSolverMultistepScheduler has no betas": {
        "_class_name": "EDMDPMSolverMultistepScheduler",
        "sigma_data": 0.5,
        "prediction_type": "epsilon",
    },
    r"FlowMatchEulerDiscreteScheduler has no betas": {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0},
    r"has use_flow_sigmas True": {**BETAS, "_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": True},
    r"has timestep_type continuous": {
        **BETAS,
        "_class_name": "EulerDiscreteScheduler",
        "timestep_type": "continuous",
        "prediction_type": "v_prediction",
    },
    r"prediction_type 'x0' is not one of epsilon, v_prediction, sample": {
        **BETAS,
        "_class_name": "DDIMScheduler",
        "prediction_type": "x0",
    },
    r"trained_betas is not read": {**BETAS, "_class_name": "DDIMScheduler", "trained_betas": [0.1, 0.2]},
    r"was trained on 500 timesteps": {**BETAS, "_class_name": "DDIMScheduler", "num_train_timesteps": 500},
    r"epsilon with zero terminal SNR": {**BETAS, "_class_name": "DDIMScheduler", "rescale_betas_zero_snr": True},
    r"its scheduler MyOwnScheduler is none that diffusers has": {"_class_name": "MyOwnScheduler"},
}


@pytest.mark.parametrize("said", [*SCHEDULERS])
def test_a_schedule_that_is_not_read_is_refused_by_name(base: Path, said: str) -> None:
    (base / "scheduler/scheduler_config.json").write_text(json.dumps(SCHEDULERS[said]))
    refused(base, f"{base}.*{said}")


def config(base: Path, part: str, **changes: Any) -> None:
    file = base / part / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_an_input_that_no_text_gives_is_refused_by_name(base: Path) -> None:
    config(base, "unet", time_cond_proj_dim=256)
    refused(base, "its UNet has time_cond_proj_dim 256")


@pytest.mark.parametrize(
    ("said", "mean", "spread"),
    [
        ({"shift_factor": 0.25}, [0.25] * 4, [1.0] * 4),
        (
            {"latents_mean": [0.1, -0.2, 0.3, 0.0], "latents_std": [2.0, 1.0, 0.5, 3.0]},
            [0.1, -0.2, 0.3, 0.0],
            [2, 1, 0.5, 3],
        ),
    ],
)
def test_what_an_autoencoder_shifts_latents_by_is_obeyed(
    base: Path, saved: Path, said: dict[str, Any], mean: list[float], spread: list[float], tmp_path: Path
) -> None:
    config(base, "vae", **said)
    plain, ours = folders.load(saved).autoencoder, folders.load(base).autoencoder
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    means, spreads = (torch.tensor(values)[:, None, None] for values in (mean, spread))
    with torch.no_grad():
        latents = (plain.to_latents(images) - means) / spreads * 0.5  # diffusers' formula; 0.5 is its scaling_factor
        torch.testing.assert_close(ours.encode(images), latents)
        torch.testing.assert_close(
            ours.decode(latents), plain.from_latents(plain.to_latents(images)), rtol=1e-4, atol=1e-5
        )
    folders.save(folders.load(base), tmp_path / "again")
    again = json.loads((tmp_path / "again/vae/config.json").read_text())
    assert not any(again.get(key) for key in said)  # it is in the weights now, and must not count twice


def test_a_shift_that_cannot_be_obeyed_is_refused(base: Path) -> None:
    config(base, "vae", latents_mean=[0.1, 0.2])
    with pytest.raises(
        BadInput, match="of 4 latent channels has shift_factor, latents_mean, latents_std of other sizes"
    ):
        folders.load(base)


Marked = tuple[dict[str, torch.Tensor], dict[str, str]]
NONE = torch.tensor([])


@pytest.mark.parametrize(
    ("marks", "metadata", "said"),
    [
        ({"v_pred": NONE, "ztsnr": NONE}, {}, ("v_prediction", True)),
        ({"v_pred": NONE}, {}, ("v_prediction", False)),
        ({}, {"modelspec.prediction_type": "v"}, ("v_prediction", False)),
        ({}, {}, ("epsilon", False)),
    ],
)
def test_what_one_file_says_of_its_schedule_is_obeyed(
    tmp_path: Path, marks: dict[str, torch.Tensor], metadata: dict[str, str], said: tuple[str, bool]
) -> None:
    file = marked(tmp_path, marks, metadata)
    scheduler = folders.load(file).scheduler
    assert (scheduler["prediction_type"], scheduler["rescale_betas_zero_snr"]) == said


def marked(folder: Path, marks: dict[str, torch.Tensor], metadata: dict[str, str]) -> Path:
    pipeline = tiny.teacher(prediction_type="epsilon", rescale_betas_zero_snr=False)
    folders.save(pipeline, folder / "base")
    file = write(folder, {**single(pipeline), **marks})
    save_file(load_file(file), file, metadata=metadata)
    return file


@pytest.mark.parametrize(
    ("marks", "metadata", "said"),
    [
        ({"edm_mean": NONE}, {}, r"EDM's schedule \(edm_mean\)"),
        ({"ztsnr": NONE}, {}, "epsilon with zero terminal SNR"),
        ({}, {"modelspec.prediction_type": "flow"}, "modelspec.prediction_type is 'flow'"),
    ],
)
def test_what_one_file_says_and_nothing_reads_is_refused(
    tmp_path: Path, marks: dict[str, torch.Tensor], metadata: dict[str, str], said: str
) -> None:
    refused(marked(tmp_path, marks, metadata), said)


def test_one_file_that_is_a_pointer_or_cut_is_told(tmp_path: Path) -> None:
    file = marked(tmp_path, {}, {})
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    refused(file, "was cut short: fetch it again")
    file.write_bytes(POINTER)
    refused(file, "git lfs pull")


def test_one_files_text_encoder_may_lack_its_outermost_module(tmp_path: Path) -> None:
    pipeline = tiny.teacher()
    folders.save(pipeline, tmp_path / "base")
    short = {
        name.replace("cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."): value
        for name, value in single(pipeline).items()
    }
    extra = {"cond_stage_model.logit_scale": torch.zeros(1), "betas": torch.zeros(3)}
    file = write(tmp_path, {**short, **extra})
    with warnings.catch_warnings(action="error", category=UserWarning):
        assert same(folders.load(file), pipeline)
    write(tmp_path, {**load_file(file), "model_ema.diffusion_modelout0weight": torch.zeros(3)})
    with pytest.warns(UserWarning, match=r"model_ema.* is left out"):
        folders.load(file)
