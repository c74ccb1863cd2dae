"""Optimus reads a text into one vector and writes it from there; a picture is written about through it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import DynamicCache, GPT2LMHeadModel
from typer.testing import CliRunner

from base.errors import BadInput
from ippo import app
from models import folder as folders
from models import optimus
from models.labels import Seen, Wish
from models.parts import predict
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
    ids = torch.from_numpy(words.optimus.decode(latent, words.by_word))
    start, end, pad = words.marks
    assert (start, end, pad) == (55, 56, 54) or len({start, end, pad}) == 3
    assert ids.shape == (3, optimus.LONGEST) and (ids[:, 0] == start).all()
    stock = GPT2LMHeadModel(words.optimus.writer.config).eval()
    stock.transformer.load_state_dict(words.optimus.writer.state_dict())
    stock.lm_head.weight = stock.transformer.wte.weight
    with torch.no_grad():
        embeds, before = stock.transformer.wte(ids) + words.optimus.added(latent)[:, None], DynamicCache()
        for layer, one in enumerate(words.optimus.memory(latent).chunk(2, dim=-1)):
            heads = one.unflatten(-1, (2, 1, 8)).clone()  # (N, heads, 1, width of a head)
            before.update(heads, heads, layer)
        logits = stock(inputs_embeds=embeds, past_key_values=before).logits
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


def test_text_to_text_is_the_flat_unet_as_it_is_published(whole: Path) -> None:
    text = folders.load(whole, "image-to-text")
    stock = UNetFlatConditionModel.from_pretrained(whole / "text_unet").eval()
    sample = torch.randn(2, *text.latent_shape, generator=torch.Generator().manual_seed(0))
    conditioning = text.condition(["a red cat", Wish("dog")])
    both = text.condition([Wish("dog", content=picture(), mix=mix) for mix in (1.0, 0.4)])
    with torch.no_grad():
        found = predict(text.denoiser, sample, 500, conditioning)  # type: ignore[arg-type]
        assert torch.allclose(found, stock(sample, 500, conditioning.encoder_hidden_states).sample, atol=1e-5)
        alone, mixed = predict(text.denoiser, sample[1:].repeat(2, 1, 1, 1), 500, both)  # type: ignore[arg-type]
    assert torch.allclose(alone, found[1], atol=1e-5) and not torch.allclose(mixed, found[1], atol=1e-3)
    ids = text.generate(["a red cat", "dog"], [1, 2], 2, 7.5)
    how = ["--steps", "2", "--guidance", "7.5", "--seed", "1", "--flow", "image-to-text"]
    for one, row in zip(["a red cat", "dog"], (0, 1), strict=True):
        said = CliRunner().invoke(app, ["sample", str(whole), one, *how[:5], str(row + 1), *how[6:]])
        assert said.stdout == text.autoencoder.texts(ids)[row] + "\n"


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
    with pytest.raises(BadInput, match="as 'text_fr' is unknown; the published text flow knows no kinds of caption"):
        text.conditioner.tokenize([Seen(picture(), "text_fr")])
    with pytest.raises(BadInput, match="a prompt must be text, got 7"):
        text.conditioner.tokenize([7])


def test_what_is_missing_is_one_line(whole: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(whole, alone, ignore=shutil.ignore_patterns(optimus.FOLDER))
    with pytest.raises(BadInput, match=r"no flow 'image-to-text': .*alone has no optimus/, which ippo convert optimus"):
        folders.load(alone, "image-to-text")
    folders.save(folders.load(alone), tmp_path / "image-alone")
    tiny_published.write_optimus(tmp_path / "image-alone" / optimus.FOLDER)
    with pytest.raises(BadInput, match=r"lacks .* tensors of the UNetFlatConditionModel"):
        folders.check(tmp_path / "image-alone")
    shutil.rmtree(tmp_path / "image-alone" / optimus.FOLDER / optimus.READER)
    with pytest.raises(BadInput, match="has no bert_tokenizer"):
        folders.check(tmp_path / "image-alone")


def test_what_does_not_fit_optimus_is_one_line(whole: Path, tmp_path: Path) -> None:
    wide = tmp_path / "wide"
    shutil.copytree(whole, wide)
    config = wide / "text_unet" / "config.json"
    other = UNetFlatConditionModel(
        **{**json.loads(config.read_text()), "in_channels": (16, 1, 1), "out_channels": (16, 1, 1)}
    )
    other.save_pretrained(wide / "text_unet")
    with pytest.raises(BadInput, match=r"text_unet takes texts of \[16, 1, 1\] numbers, optimus gives 24"):
        folders.check(wide)
    words = tmp_path / "words"
    shutil.copytree(whole / optimus.FOLDER, words)
    vocabulary = words / optimus.READER / "vocab.txt"
    vocabulary.write_text(vocabulary.read_text() + "more\n")
    with pytest.raises(BadInput, match="bert_tokenizer has 58 tokens, its network knows 57"):
        optimus.load(words)
