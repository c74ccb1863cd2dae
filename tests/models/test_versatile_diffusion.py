"""Both flows of a tiny versatile folder: what they take, mix and give, and that one folder holds them once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from base.errors import BadInput
from models import folder as folders
from models.architecture import architecture
from models.conditioning import Conditioning
from models.labels import Seen, Wish
from models.parts import predict
from models.pipeline import Pipeline
from tests import tiny


@pytest.fixture(scope="module")
def image() -> Pipeline:
    return tiny.versatile_teacher()


@pytest.fixture(scope="module")
def text(image: Pipeline) -> Pipeline:
    return image.flow("image-to-text")


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def test_the_ends_of_the_mix_are_the_single_flows_and_the_middle_is_between(image: Pipeline) -> None:
    draw = torch.Generator().manual_seed(1)
    sample = torch.randn(3, *image.latent_shape, generator=draw)
    both = image.condition([Wish("cat", picture(), picture(1), mix) for mix in (0.0, 0.5, 1.0)])
    text_alone = Conditioning(both.encoder_hidden_states)
    image_alone = Conditioning(image_embeds=both.image_embeds)
    with torch.no_grad():
        mixed, by_text, by_image = (
            predict(image.denoiser, sample, 500, one)
            for one in (both, text_alone, image_alone)  # type: ignore[arg-type]
        )
    assert torch.allclose(mixed[0], by_image[0], atol=1e-5) and torch.allclose(mixed[2], by_text[2], atol=1e-5)
    assert not torch.allclose(mixed[1], by_image[1], atol=1e-3) and not torch.allclose(mixed[1], by_text[1], atol=1e-3)


def test_a_row_holds_ids_pictures_and_share(image: Pipeline) -> None:
    wish, prompt = Wish("cat", content=picture(), mix=0.25), "cat"
    rows = image.conditioner.tokenize([wish, prompt, "", Wish(content=picture())])
    arrays = image.conditioner.unpack(rows)  # type: ignore[operator]
    ids, pictures, mix = arrays["input_ids"], arrays["image_embeds"], arrays["mix"]
    assert torch.equal(ids[0], ids[1]) and torch.equal(ids[2], ids[3])
    assert mix.tolist() == [0.25, 1.0, 1.0, 0.0]
    assert torch.equal(pictures[0], pictures[3]) and not pictures[1:3].any()
    assert pictures[0, :2].any() and not pictures[0, 2:].any()
    tokens = Wish("cat", content=pictures[0, :2].numpy(), mix=0.25)
    assert torch.equal(image.conditioner.tokenize([tokens]), rows[:1])


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (Wish(content=np.zeros((3, 32), np.float32)), "must be 2x32 finite numbers"),
        (Wish(style=np.full((2, 32), np.nan, np.float32)), "finite"),
        (5, "a prompt must be text, got 5"),
    ],
)
def test_a_wish_that_cannot_be_is_one_line(image: Pipeline, wish: object, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        image.conditioner.tokenize([wish])


def test_focus_works_on_the_patches_before_the_pools(image: Pipeline) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    wishes = [Wish("", pixels, focus=focus) for focus in (None, 0.5, 0.0, 1.0)]
    plain, middle, content, style = image.conditioner.tokenize(wishes)
    assert torch.equal(plain, middle) and not torch.allclose(content, plain) and not torch.allclose(content, style)
    with pytest.raises(BadInput, match="its tokens do not show; accepted: a picture"):
        image.conditioner.tokenize([Wish("", np.zeros((2, 32), np.float32), focus=0.1)])


def test_captions_are_words_of_the_wanted_kind(text: Pipeline) -> None:
    ids = text.generate([Seen(picture(), "text_fr"), Seen(picture()), ""], [1, 2, 3], steps=4, guidance=1.5)
    assert ids.shape == (3, tiny.TOKENS) and ids.dtype == np.int64
    assert text.preview([Seen(picture())], [1], 2, 1.0).shape == (1, 24, 256, 3)
    with pytest.raises(BadInput, match="column 'text_f' is unknown; did you mean 'text_fr'"):
        text.conditioner.tokenize([Seen(picture(), "text_f")])
    with pytest.raises(BadInput, match="a caption needs a picture, got 'cat'"):
        text.conditioner.tokenize(["cat"])


def test_tokens_are_found_again_by_their_embeddings(text: Pipeline) -> None:
    ids = torch.randint(0, 54, (5, tiny.TOKENS), generator=torch.Generator().manual_seed(0))
    latents = text.autoencoder.encode(ids)
    assert latents.shape == (5, *text.latent_shape) and abs(float(latents.std()) - 1) < 0.3
    noisy = latents + 0.05 * torch.randn(latents.shape, generator=torch.Generator().manual_seed(1))
    assert torch.equal(text.autoencoder.decode(noisy), ids)


def test_a_writer_is_judged_by_cross_entropy_and_reduced_by_layers(text: Pipeline) -> None:
    inside = architecture(text.denoiser)
    ids = torch.zeros(2, tiny.TOKENS, dtype=torch.int64)
    target = text.autoencoder.encode(ids)
    context = text.condition(["", ""]).arrays()
    output = text.denoiser(target, 999, **context)
    expected = -output.logits.log_softmax(dim=-1)[:, :, 0].mean(dim=1)
    assert torch.allclose(inside.error(output, output.sample, target), expected, atol=1e-5)
    smaller = inside.reduced({"layers": 1})
    assert architecture(smaller).widths == (16,)
    with pytest.raises(BadInput, match="accepted: layers, 1 to 2"):
        inside.reduced({"width": 8})
    assert [
        tuple(one.shape) for one in inside.feature_maps(target, torch.tensor([1, 2]), text.condition(["", ""]))
    ] == [(2, 16, 1, tiny.TOKENS)] * 2
    fresh = inside.fresh()
    assert torch.equal(fresh.embedding, text.denoiser.embedding)  # type: ignore[arg-type]
    with inside.stage_maps() as maps:
        text.denoiser(target, 999, **context)
    assert list(maps) == ["block 0", "block 1"]


@pytest.mark.parametrize("flow", ["image-text-to-image", "image-to-text"])
def test_one_folder_holds_both_flows_once(image: Pipeline, flow: str, tmp_path: Path) -> None:
    folders.save(image.flow(flow), tmp_path / "both")
    assert len(list((tmp_path / "both").rglob("*.safetensors"))) == 6
    again = folders.load(tmp_path / "both", flow)
    inputs = ["cat", ""] if flow == "image-text-to-image" else [Seen(picture(), "text"), ""]
    drawn = image.flow(flow).generate(inputs, [1, 2], 2, 1.5)
    assert np.array_equal(again.generate(inputs, [1, 2], 2, 1.5), drawn)
    with safe_open(tmp_path / "both" / "text_unet" / "diffusion_pytorch_model.safetensors", "pt") as opened:
        assert "embedding" in opened.keys()  # noqa: SIM118
    with pytest.raises(BadInput, match="no flow 'image-to-image'"):
        folders.load(tmp_path / "both", "image-to-image")


def test_layers_for_pictures_begin_as_those_for_text() -> None:
    pipeline = tiny.versatile_teacher()
    unet = pipeline.denoiser
    unet.copy_text_layers()  # type: ignore[operator]
    inside = architecture(unet)
    sample, conditioning = inside.example_inputs(2)
    tokens = torch.randn(2, 4, tiny.WIDTH, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        by_text = predict(unet, sample, 10, Conditioning(tokens))  # type: ignore[arg-type]
        by_image = predict(unet, sample, 10, Conditioning(image_embeds=tokens))  # type: ignore[arg-type]
    assert torch.equal(by_text, by_image) and conditioning.mix is not None
    assert len(inside.feature_maps(sample, torch.tensor([1, 2]), conditioning)) == len(inside.feature_channels)
    smaller = inside.reduced({"mid_block_type": None})
    assert sum(one.numel() for one in smaller.parameters()) < sum(one.numel() for one in unet.parameters())
