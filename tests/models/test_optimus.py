"""Optimus reads a text into one vector and writes it from there; a picture is written about through it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2LMHeadModel

from base.errors import BadInput
from models import folder as folders
from models import optimus
from models.labels import Seen
from models.pipeline import predict
from models.published_text_unet import UNetFlatConditionModel
from models.versatile_unet import transformer_lists
from tests.models import tiny_published


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published folder with Optimus in it."""
    folder = tiny_published.write(tmp_path_factory.mktemp("published") / "base")
    tiny_published.write_optimus(folder / optimus.FOLDER)
    return folder


@pytest.fixture(scope="module")
def words(whole: Path) -> optimus.OptimusAutoencoder:
    return optimus.load(whole / optimus.FOLDER)


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def test_a_text_is_one_vector_whatever_stands_beside_it(words: optimus.OptimusAutoencoder) -> None:
    both = words.encode(words.read(["A red Cat", "dog"]))
    assert both.shape == (2, tiny_published.LATENT, 1, 1)
    alone = words.encode(words.read(["dog"]))
    beside, between = ((one - two).abs().max() for one, two in ((both[1:], alone), (both[0], both[1])))
    assert beside < 1e-6 and between > 10 * beside
    assert torch.equal(words.read(["A red Cat"]), words.read(["a red cat"]))


def test_writing_token_by_token_is_gpt2_with_one_position_before_it(words: optimus.OptimusAutoencoder) -> None:
    latent = torch.randn(3, tiny_published.LATENT, generator=torch.Generator().manual_seed(0))
    ids = words.optimus.decode(latent, *words.marks)
    start, end, pad = words.marks
    assert (start, end, pad) == (55, 56, 54) or len({start, end, pad}) == 3
    assert ids.shape == (3, optimus.LONGEST) and (ids[:, 0] == start).all()
    stock = GPT2LMHeadModel(words.optimus.writer.config).eval()
    stock.transformer.load_state_dict(words.optimus.writer.state_dict())
    stock.lm_head.weight = stock.transformer.wte.weight
    with torch.no_grad():
        embeds = stock.transformer.wte(ids) + words.optimus.added(latent)[:, None]
        logits = stock(inputs_embeds=embeds, past_key_values=words.optimus.past(latent)).logits
    likeliest = logits.argmax(dim=-1)
    for row, own in zip(ids, likeliest, strict=True):
        over = (row == end).nonzero()
        last = int(over[0]) if len(over) else len(row) - 1
        assert torch.equal(row[1 : last + 1], own[:last]) and (row[last + 1 :] == pad).all()
    assert len({tuple(row.tolist()) for row in ids}) > 1
    assert all("<" not in text for text in words.texts(ids.numpy()))


def test_the_text_flow_is_the_flat_unet_with_the_image_flows_layers(whole: Path) -> None:
    text = folders.load(whole, "image-to-text")
    stock = UNetFlatConditionModel.from_pretrained(whole / "text_unet")
    image = folders.load(whole)
    for ours, theirs in zip(transformer_lists(stock), transformer_lists(image.denoiser), strict=True):
        for index, pair in enumerate(theirs):
            ours[index] = pair.image_unet
    sample = torch.randn(2, *text.latent_shape, generator=torch.Generator().manual_seed(0))
    conditioning = text.condition([Seen(picture()), Seen(picture(1))])
    tokens = conditioning.image_embeds[:, :5]  # type: ignore[index]
    with torch.no_grad():
        found = predict(text.denoiser, sample, 500, conditioning)  # type: ignore[arg-type]
        assert torch.allclose(found, stock.eval()(sample, 500, tokens).sample, atol=1e-5)


def test_pictures_are_written_about_and_all_of_it_is_saved(whole: Path, tmp_path: Path) -> None:
    text = folders.load(whole, "image-to-text")
    inputs = [Seen(picture()), Seen(picture(1)), ""]
    ids = text.generate(inputs, [1, 2, 3], 4, 7.5)
    assert ids.shape == (3, optimus.LONGEST)
    assert text.preview(inputs[:1], [1], 2, 1.0).shape == (1, 24, 256, 3)
    folders.save(text, tmp_path / "saved")
    again = folders.load(tmp_path / "saved", "image-to-text")
    assert np.array_equal(again.generate(inputs, [1, 2, 3], 4, 7.5), ids)
    UNetFlatConditionModel.from_pretrained(tmp_path / "saved" / "text_unet")
    with pytest.raises(BadInput, match="a caption needs a picture, and is of no special kind here, got 'cat'"):
        text.conditioner.tokenize(["cat"])


def test_what_is_missing_is_one_line(whole: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(whole, alone, ignore=shutil.ignore_patterns(optimus.FOLDER))
    with pytest.raises(BadInput, match="no flow 'image-to-text'"):
        folders.load(alone, "image-to-text")
    folders.save(folders.load(alone), tmp_path / "image-alone")
    tiny_published.write_optimus(tmp_path / "image-alone" / optimus.FOLDER)
    with pytest.raises(BadInput, match=r"lacks .* tensors of the UNetFlatConditionModel"):
        folders.check(tmp_path / "image-alone")
    shutil.rmtree(tmp_path / "image-alone" / optimus.FOLDER / optimus.READER)
    with pytest.raises(BadInput, match="has no bert_tokenizer"):
        folders.check(tmp_path / "image-alone")
