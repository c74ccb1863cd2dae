"""A bundle of the published image flow: one copy of the weights in the published layout, drawn from text, pictures and both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from export.write_bundle import ExportOptions, export
from models import folder as folders
from models.labels import Wish
from models.schedule import student_scheduler
from runtime import available, backend
from runtime.backend import BackendOptions
from runtime.bundle import Bundle
from runtime.generator import Generator, Request
from tests.models import tiny_published

pytestmark = pytest.mark.slow  # five graphs are exported


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("published")
    teacher = folders.load(tiny_published.write(folder / "base"))
    folders.save(replace(teacher, scheduler=student_scheduler(teacher.scheduler)), folder / "student")
    return export(str(folder / "student"), folder / "bundle", ExportOptions(trained=False))


def test_graphs_point_into_the_published_files(bundle: Bundle) -> None:
    assert bundle.manifest.graphs["denoiser"] == "denoiser.onnx"  # above the two folders of its weights
    assert bundle.manifest.picture_tokens == (10, tiny_published.WIDTH)
    graph = (bundle.folder / "denoiser.onnx").read_bytes()
    assert b"image_unet/diffusion_pytorch_model.safetensors" in graph
    assert b"text_unet/diffusion_pytorch_model.safetensors" in graph
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
