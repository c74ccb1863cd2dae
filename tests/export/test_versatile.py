"""A versatile bundle: one copy of the weights, both flows on every backend as torch computes them, its captions, its server."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from base.errors import BadInput
from ippo import app
from models import folder as folders
from models.labels import Seen, Wish, caption_kind
from runtime import available, backend
from runtime.backend import BackendOptions
from runtime.bundle import Bundle, open_bundle
from runtime.captioner import CaptionGenerator
from runtime.generator import Generator, Request
from runtime.images import encode
from serving.application import application
from serving.serve_config import ServeConfig
from tests import tiny

pytestmark = pytest.mark.slow  # ten graphs are exported


@pytest.fixture(scope="module")
def bundle(versatile_bundle: Path) -> Bundle:
    return open_bundle(versatile_bundle)


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def test_all_tasks_stand_over_one_copy_of_the_weights(bundle: Bundle) -> None:
    assert bundle.manifest.tasks == ("image-text-to-image", "image-to-text")
    assert bundle.manifest.graphs["one_step"] == "variation.onnx"
    text = bundle.flow("image-to-text").manifest
    assert text.graphs["one_step"] == "caption.onnx" and text.classes == tiny.COLUMNS and not text.buckets
    graphs = [name for name in bundle.manifest.files if name.endswith(".onnx")]
    assert len(graphs) == 10
    weights = sum(file.stat().st_size for file in bundle.folder.rglob("*.safetensors"))
    assert sum(tensor.nbytes for tensor in _tensors(bundle)) * 0.9 < weights
    assert min(text.parity[name]["agreement"] for name in available.installed("cpu")) > 0.9
    assert min(bundle.manifest.parity[name]["psnr"] for name in available.installed("cpu")) > 30
    with pytest.raises(BadInput, match="does not do text-to-image; it does: image-text-to-image, image-to-text"):
        bundle.flow("text-to-image")


def _tensors(bundle: Bundle) -> list[np.ndarray]:
    from safetensors.numpy import load_file

    return [tensor for file in bundle.folder.rglob("*.safetensors") for tensor in load_file(file).values()]


@pytest.mark.parametrize("name", available.installed("cpu"))
def test_pictures_and_a_mix_are_drawn_as_torch_draws_them(name: str, bundle: Bundle) -> None:
    pipeline = folders.load(bundle.folder)
    generator = Generator(bundle, backend.load(name, bundle, BackendOptions(threads=1, device="cpu")))
    wishes = [Wish("cat"), Wish(content=picture()), Wish("cat", picture(), picture(1), 0.3)]
    requests = [Request(wish, seed) for seed, wish in enumerate(wishes)]
    for steps in (1, 2):
        drawn = generator.generate(requests, steps)
        expected = pipeline.generate(wishes, [0, 1, 2], steps)
        apart = np.abs(drawn.astype(int) - expected)
        assert apart.max() <= 24 and apart.mean() < 2.5
    tokens = generator.embed(picture()[None])[0]
    by_tokens = generator.generate([Request(Wish(content=tokens[:2]), 1)])
    by_picture = generator.generate([Request(Wish(content=picture()), 1)])
    assert np.array_equal(by_tokens, by_picture)
    assert np.abs(by_picture[0].astype(int) - generator.generate([Request(Wish("cat"), 1)])[0]).max() > 6


@pytest.mark.parametrize("name", available.installed("cpu"))
def test_captions_are_those_of_torch(name: str, bundle: Bundle) -> None:
    captioner = CaptionGenerator(bundle, name, BackendOptions(threads=1, device="cpu"))
    assert captioner.size == (16, 16) and captioner.columns == tiny.COLUMNS
    pipeline = folders.load(bundle.folder, "image-to-text")
    expected = pipeline.generate([Seen(picture(), "text"), Seen(picture(1), "text")], [3, 4])
    found = captioner.generator.generate([Request(Seen(picture(one), "text"), 3 + one) for one in (0, 1)])
    assert (found == expected).mean() > 0.8
    captions = captioner.caption([picture(), picture(1)], [3, 4], "text")
    assert [caption.seed for caption in captions] == [3, 4] and all("<|" not in caption.text for caption in captions)
    assert captioner.caption([picture()], [5], steps=4)[0].seed == 5
    assert captioner.caption([picture(), picture(1)], [3, 4]) == captions, "the first kind is the default"
    assert [caption_kind(name, tiny.COLUMNS) for name in ("", "any", "text_fr")] == ["text", "", "text_fr"]


def test_what_cannot_be_written_about_is_one_line(bundle: Bundle) -> None:
    captioner = CaptionGenerator(bundle)
    with pytest.raises(BadInput, match="as 'text_e' is unknown; accepted: text, text_fr"):
        captioner.caption([picture()], [0], "text_e")
    with pytest.raises(BadInput, match=r"a picture must be uint8 \(16, 16, 3\) or 4x32 finite numbers"):
        captioner.caption([picture()[:8]], [0])
    with pytest.raises(BadInput, match="steps 5 is not offered"):
        captioner.caption([picture()], [0], steps=5)


def test_the_server_varies_mixes_and_says(bundle: Bundle) -> None:
    config = ServeConfig(bundle=bundle.folder, backend="ort", threads=1, page=False, batches=(1,))
    content = base64.b64encode(encode(picture(), "png")).decode()
    data_url = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{content}"}}
    with TestClient(application(config)) as client:
        prompt = client.post("/generate", json={"prompt": "cat", "seed": 1})
        varied = client.post("/generate", json={"content": content, "seed": 1})
        mixed = client.post("/generate", json={"prompt": "cat", "content": content, "mix": 0.3, "seed": 1})
        assert [answer.status_code for answer in (prompt, varied, mixed)] == [200] * 3
        assert len({answer.content for answer in (prompt, varied, mixed)}) == 3
        said = client.post("/caption", json={"image": content, "as": "text", "n": 2, "seed": 7}).json()["captions"]
        assert [one["seed"] for one in said] == [7, 8] and all(isinstance(one["text"], str) for one in said)
        chat = client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": [data_url]}]})
        assert chat.json()["choices"][0]["message"]["role"] == "assistant"
        assert "caption" in client.post("/sdapi/v1/interrogate", json={"image": content}).json()
        assert client.post("/v1/images/generations", json={"prompt": "cat"}).status_code == 200
        refused = [
            ({}, "nothing to draw; accepted: prompt, content, or one of them with style"),
            ({"style": content}, "a style alone says nothing to draw"),
            ({"prompt": "cat", "mix": 0.5}, "mix is between a prompt and pictures"),
            ({"prompt": "cat", "content": content, "mix": 1.5}, "mix 1.5 is out of range; accepted: 0 to 1"),
            ({"content": "AAAA"}, "content cannot be read"),
        ]
        for body, says in refused:
            answer = client.post("/generate", json=body)
            assert answer.status_code in (400, 422) and says in answer.text
        answer = client.post("/caption", json={"image": content, "as": "text_e"})
        assert answer.status_code == 400 and "accepted: text, text_fr" in answer.text


def test_the_command_line_captions_and_mixes(bundle: Bundle, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(encode(picture(), "png"))
    one, two, folder = str(tmp_path / "a.png"), str(tmp_path / "b.png"), ["--bundle", str(bundle.folder)]
    runner = CliRunner()
    table = tmp_path / "captions.csv"
    assert runner.invoke(app, ["caption", one, two, *folder, "--as", "text", "--out", str(table)]).exit_code == 0
    assert table.read_text().splitlines()[0] == "file_name,text" and len(table.read_text().splitlines()) == 3
    out = ["--out", str(tmp_path / "out.png")]
    assert (
        runner.invoke(
            app, ["generate", "cat", "--content", one, "--style", two, "--mix", "0.4", *folder, *out]
        ).exit_code
        == 0
    )
    assert runner.invoke(app, ["generate", "--content", one, *folder, *out]).exit_code == 0
    lacking = runner.invoke(app, ["generate", "--style", one, *folder, *out])
    assert isinstance(lacking.exception, BadInput)
