"""A bundle of both published flows: one copy of the weights in the published layout, drawn from and written about."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from starlette.testclient import TestClient

from export.write_bundle import ExportOptions, export
from models import folder as folders
from models import optimus
from models.labels import Seen, Wish
from models.scheduler_configs import student_scheduler
from runtime import available, backend
from runtime.backend import BackendOptions
from runtime.bundle import Bundle
from runtime.captioner import CaptionGenerator
from runtime.generator import Generator, Request
from serving.application import application
from serving.serve_config import ServeConfig
from tests.models import tiny_published

pytestmark = pytest.mark.slow  # nine graphs are exported


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("published")
    base = tiny_published.write(folder / "base")
    tiny_published.write_optimus(base / optimus.FOLDER)
    teacher = folders.load(base)
    scheduler = student_scheduler(teacher.scheduler)
    words = replace(teacher.siblings[0], scheduler=scheduler)
    with warnings.catch_warnings(action="error"):  # their transformers are the same, so both stay
        folders.save(replace(teacher, scheduler=scheduler, siblings=(words,)), folder / "student")
    return export(str(folder / "student"), folder / "bundle", ExportOptions(trained=False))


def test_graphs_point_into_the_published_files(bundle: Bundle) -> None:
    assert bundle.manifest.graphs["denoiser"] == "denoiser.onnx"  # above the two folders of its weights
    assert bundle.manifest.picture_tokens == (10, tiny_published.WIDTH)
    graph = (bundle.folder / "denoiser.onnx").read_bytes()
    assert b"image_unet/diffusion_pytorch_model.safetensors" in graph
    assert b"text_unet/diffusion_pytorch_model.safetensors" in graph
    assert bundle.manifest.tasks == ("image-text-to-image", "image-text-to-text")
    text = bundle.flow("image-to-text").manifest
    assert text.graphs["denoiser"] == "image-text-to-text-denoiser.onnx" and "one_step" not in text.graphs
    assert len(graph) < (bundle.folder / "image_unet" / "diffusion_pytorch_model.safetensors").stat().st_size


@pytest.mark.parametrize("name", available.installed("cpu"))
def test_every_context_is_drawn_as_torch_draws_it(name: str, bundle: Bundle) -> None:
    pipeline = folders.load(bundle.folder)
    generator = Generator(bundle, backend.load(name, bundle, BackendOptions(threads=1, device="cpu")))
    one, two = (np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8) for seed in (0, 1))
    wishes = [Wish("cat"), Wish(content=one), Wish(style=one), Wish("cat", one, two, 0.3)]
    drawn = generator.generate([Request(wish, 1) for wish in wishes], 2)
    expected = pipeline.generate(wishes, [1] * 4, 2)
    apart = np.abs(drawn.astype(int) - expected)
    assert apart.max() <= 24 and apart.mean() < 2.5
    assert np.abs(drawn[1].astype(int) - drawn[2]).max() <= 1
    assert len({image.tobytes() for image in drawn}) >= 3
    captioner = CaptionGenerator(bundle, name, BackendOptions(threads=1, device="cpu"))
    words = pipeline.flow("image-to-text")
    expected = words.generate([Seen(one), Wish("cat", two)], [1, 1])
    found = captioner.generator.generate([Request(Seen(one), 1), Request(Wish("cat", two), 1)])
    assert (found == expected).mean() > 0.8


def test_one_server_draws_and_writes(bundle: Bundle) -> None:
    config = ServeConfig(bundle=bundle.folder, backend="ort", threads=1, page=False, batches=(1,))
    with TestClient(application(config)) as client:
        assert client.post("/generate", json={"prompt": "cat", "seed": 1}).status_code == 200
        said = client.post("/caption", json={"prompt": "a red cat", "seed": 1}).json()["captions"]
    assert said[0]["text"] == CaptionGenerator(bundle, "ort").reword(["a red cat"], [1])[0].text
