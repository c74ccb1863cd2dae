"""The published layout opens, draws as stock diffusers draws where that runs, and is written again as it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    PNDMScheduler,
    VersatileDiffusionImageVariationPipeline,
    VersatileDiffusionTextToImagePipeline,
)
from diffusers.models import DualTransformer2DModel
from diffusers.pipelines.deprecated.versatile_diffusion.modeling_text_unet import UNetFlatConditionModel
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from base.errors import BadInput
from models import folder as folders
from models.conditioning import Conditioning
from models.context_focus import focused
from models.labels import Wish
from models.noise import gaussian
from models.parts import predict
from models.pipeline import Pipeline
from models.versatile_unet import transformer_lists
from tests.models import tiny_published

STEPS, GUIDANCE = 4, 7.5


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_published.write(tmp_path_factory.mktemp("published") / "base")


@pytest.fixture(scope="module")
def image(base: Path) -> Pipeline:
    return folders.load(base)


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def stock(kind: type[Any], base: Path, **others: Any) -> Any:
    """A stock pipeline put together by hand: none of them opens the folder."""
    parts: dict[str, Any] = {"scheduler": DDIMScheduler.from_pretrained(base / "scheduler"), **others}
    for part, owner in kind.__init__.__annotations__.items():
        if part not in parts and part != "return":
            parts[part] = owner.from_pretrained(base / part)
    pipeline = kind(**parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def apart(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The error of latents that guidance has made large, as a share of them."""
    return float((found - expected).norm() / expected.norm())


def noise(pipeline: Pipeline, seed: int) -> torch.Tensor:
    return torch.from_numpy(gaussian([seed], 1, pipeline.latent_shape))[0]


def test_text_to_image_is_that_of_stock_diffusers(base: Path, image: Pipeline) -> None:
    pipeline = stock(
        VersatileDiffusionTextToImagePipeline,
        base,
        scheduler=image_scheduler(image),
        text_unet=UNetFlatConditionModel.from_pretrained(base / "text_unet"),
    )
    how: dict[str, Any] = {"num_inference_steps": STEPS, "guidance_scale": GUIDANCE, "output_type": "latent"}
    found = pipeline(prompt="red cat", latents=noise(image, 3), height=16, width=16, **how).images
    assert apart(image.sample(["red cat"], [3], STEPS, GUIDANCE), found) < 1e-5


def image_scheduler(image: Pipeline) -> DDIMScheduler:
    return DDIMScheduler.from_config(image.scheduler)


@pytest.mark.parametrize("shade", ["grey", "black"])
def test_image_variation_is_that_of_stock_diffusers(base: Path, shade: str) -> None:
    image = folders.load(base)
    image.conditioner.null_picture = shade  # type: ignore[assignment]
    pipeline = stock(VersatileDiffusionImageVariationPipeline, base, scheduler=image_scheduler(image))
    value = {"grey": 127, "black": 0}[shade]
    null = Image.fromarray(np.full((16, 16, 3), value, np.uint8))
    how: dict[str, Any] = {"num_inference_steps": STEPS, "guidance_scale": GUIDANCE, "output_type": "latent"}
    found = pipeline(
        image=Image.fromarray(picture()), negative_prompt=null, latents=noise(image, 4), height=16, width=16, **how
    ).images
    assert apart(image.sample([Wish(content=picture())], [4], STEPS, GUIDANCE), found) < 1e-5


def dual(base: Path, image: Pipeline, mix: float) -> Any:
    """The image UNet with stock's own pairs of transformers, which its dual-guided pipeline is to use and cannot."""
    networks = stock(VersatileDiffusionImageVariationPipeline, base).image_unet
    flat = UNetFlatConditionModel.from_pretrained(base / "text_unet")
    for by_image, by_text in zip(transformer_lists(networks), transformer_lists(flat), strict=True):
        for index, (picture_layer, text_layer) in enumerate(zip(by_image, by_text, strict=True)):
            pair = DualTransformer2DModel(8, 4, in_channels=32, norm_num_groups=8, cross_attention_dim=32)
            pair.transformers = nn.ModuleList([picture_layer, text_layer])
            pair.mix_ratio, pair.condition_lengths = mix, [8, 10]
            forward = pair.forward  # stock passes a mask that stock does not take

            def without_mask(*taken: Any, forward: Any = forward, encoder_attention_mask: Any = None, **by: Any) -> Any:
                return forward(*taken, **by)

            pair.forward = without_mask  # type: ignore[method-assign]
            by_image[index] = pair
    return networks.eval()


@pytest.mark.parametrize("mix", [0.0, 0.5, 1.0])
@torch.no_grad()
def test_a_mix_is_that_of_stock_diffusers_dual_transformer(base: Path, image: Pipeline, mix: float) -> None:
    wish = Wish("red cat", content=picture(), style=picture(1), mix=mix)
    conditioning = image.condition([wish])
    sample = noise(image, 5)
    found = predict(image.denoiser, sample, 500, conditioning)  # type: ignore[arg-type]
    both = torch.cat(list(conditioning.arrays().values())[:2], dim=1)
    assert torch.allclose(found, dual(base, image, mix)(sample, 500, both).sample, atol=1e-5)
    if mix in (0, 1):
        alone = (
            Conditioning(conditioning.encoder_hidden_states)
            if mix
            else Conditioning(image_embeds=conditioning.image_embeds)
        )
        assert torch.allclose(found, predict(image.denoiser, sample, 500, alone), atol=1e-5)  # type: ignore[arg-type]


def test_one_picture_conditions_the_same_wherever_it_stands(image: Pipeline) -> None:
    content, style, twice = (
        image.sample([wish], [1], 2, 2.0)
        for wish in (Wish(content=picture()), Wish(style=picture()), Wish(content=picture(), style=picture()))
    )
    assert torch.allclose(content, style, atol=1e-6) and torch.allclose(content, twice, atol=1e-6)
    other = image.sample([Wish(content=picture(), style=picture(1))], [1], 2, 2.0)
    assert not torch.allclose(content, other, atol=1e-3)


def test_focus_is_that_of_the_tokens_and_of_a_style_the_other_way_round(image: Pipeline) -> None:
    conditioner: Any = image.conditioner
    plain, other = (conditioner.embed([picture(seed)])[0] for seed in (0, 1))
    half = len(plain) // 2
    row = conditioner.unpack(conditioner.tokenize([Wish("", picture(0), picture(1), focus=0.2)]))["image_embeds"][0]
    expected = [focused(plain[:half].numpy(), 0.2), focused(other[half:].numpy(), 0.8)]
    np.testing.assert_allclose(row.numpy(), np.concatenate(expected), atol=1e-6)
    alone = conditioner.unpack(conditioner.tokenize([Wish("", None, picture(1), focus=0.2)]))["image_embeds"][0]
    np.testing.assert_allclose(alone[half:].numpy(), focused(other[half:].numpy(), 0.2), atol=1e-6)


def test_null_pictures_are_zeros_or_a_shade(base: Path, tmp_path: Path) -> None:
    drawn = {}
    for name in ("zeros", "grey", "black"):
        shutil.copytree(base, tmp_path / name)
        index = tmp_path / name / "model_index.json"
        index.write_text(json.dumps({**json.loads(index.read_text()), "null_picture": name}))
        drawn[name] = folders.load(tmp_path / name).sample([Wish(content=picture())], [1], 2, 3.0)
    assert len({float(one.sum()) for one in drawn.values()}) == 3
    index.write_text(json.dumps({**json.loads(index.read_text()), "null_picture": "gray"}))
    with pytest.raises(BadInput, match="null_picture 'gray' is unknown; did you mean 'grey'"):
        folders.load(tmp_path / "black")


def test_a_saved_folder_is_the_published_one(base: Path, image: Pipeline, tmp_path: Path) -> None:
    folders.save(image, tmp_path / "saved")
    for part in ("image_unet", "vae"):
        file = f"{part}/diffusion_pytorch_model.safetensors"
        before, after = load_file(base / file), load_file(tmp_path / "saved" / file)
        assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    file = "text_unet/diffusion_pytorch_model.safetensors"
    before, after = load_file(base / file), load_file(tmp_path / "saved" / file)
    assert all(torch.equal(before[name], after[name]) for name in after)
    assert {name for name in before if ".attentions." in name} == after.keys()
    wish = Wish("cat", content=picture(), mix=0.3)
    again = folders.load(tmp_path / "saved")
    assert torch.equal(again.sample([wish], [1], 2, 3.0), image.sample([wish], [1], 2, 3.0))
    own, known = (
        json.loads((folder / "text_unet" / "config.json").read_text()) for folder in (base, tmp_path / "saved")
    )
    assert all(own[key] == known[key] for key in known if "channels" not in key or key == "block_out_channels")


@pytest.mark.parametrize("library", ["versatile_diffusion", "diffusers", None])
def test_every_spelling_of_the_library_opens(library: str | None, base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "base")
    index = tmp_path / "base" / "model_index.json"
    values = {**json.loads(index.read_text()), "text_unet": [library, "UNetFlatConditionModel"]}
    index.write_text(json.dumps(values))
    folders.check(tmp_path / "base")
    values.pop("text_unet")
    index.write_text(json.dumps(values))
    folders.check(tmp_path / "base")


def test_what_is_not_published_is_refused_before_it_loads(base: Path, tmp_path: Path) -> None:
    def changed(file: str, **change: Any) -> Path:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        shutil.copytree(base, folder)
        values = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({**values, **change}))
        return folder

    refused = {
        changed(
            "model_index.json", text_unet=["os", "system"]
        ): r"has text_unet \['os', 'system'\]; accepted: UNetFlat",
        changed(
            "image_unet/config.json", cross_attention_dim=16
        ): "wants contexts of 16 channels, the text_encoder gives 32",
        changed("image_encoder/config.json", projection_dim=16): "contexts of 32 channels, the image_encoder gives 16",
        changed("vae/config.json", latent_channels=8): "the UNet takes 4 channels, its autoencoder has 8",
        changed("scheduler/scheduler_config.json", trained_betas=[0.1]): "trained_betas is not read",
    }
    for folder, says in refused.items():
        with pytest.raises(BadInput, match=says):
            folders.check(folder)
    narrower = tmp_path / "narrower"
    shutil.copytree(base, narrower)
    UNetFlatConditionModel(
        **{**tiny_published.PLAN, "block_out_channels": (8, 16)}, in_channels=(24, 1, 1), out_channels=(24, 1, 1),
        down_block_types=("CrossAttnDownBlockFlat", "DownBlockFlat"), up_block_types=("UpBlockFlat", "CrossAttnUpBlockFlat"),
    ).save_pretrained(narrower / "text_unet")  # fmt: skip
    with pytest.raises(BadInput, match="does not fit the context layers that the image UNet"):
        folders.check(narrower)
    pickled = tmp_path / "pickled"
    shutil.copytree(base, pickled)
    (pickled / "image_unet" / "diffusion_pytorch_model.safetensors").rename(
        pickled / "image_unet" / "diffusion_pytorch_model.bin"
    )
    with pytest.raises(BadInput, match=r"diffusion_pytorch_model.bin can hold code and is not read"):
        folders.check(pickled)


def test_tokens_stand_for_pictures_and_are_looked_at(base: Path, image: Pipeline) -> None:
    tokens = image.conditioner.embed([picture()])[0, :5].numpy()  # type: ignore[operator]
    one, other = (image.sample([Wish(content=given)], [1], 2, 3.0) for given in (picture(), tokens))
    assert torch.allclose(one, other, atol=1e-6)
    for wrong in (tokens[:, :31], tokens[:4], np.full_like(tokens, np.nan), np.where(tokens > 0, np.inf, tokens)):
        with pytest.raises(BadInput, match="a picture's tokens must be 5x32 finite numbers, got "):
            image.condition([Wish(content=wrong)])


def test_any_scheduler_of_the_same_noise_opens(base: Path, image: Pipeline, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "pndm")
    shutil.rmtree(tmp_path / "pndm" / "scheduler")
    PNDMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, skip_prk_steps=True
    ).save_pretrained(tmp_path / "pndm" / "scheduler")
    wish, other = Wish("cat", content=picture(), mix=0.3), folders.load(tmp_path / "pndm")
    assert torch.equal(other.sample([wish], [1], 2, 3.0), image.sample([wish], [1], 2, 3.0))
