"""A versatile bundle: one copy of the weights, both flows on every backend as torch computes them, and its captioner."""

from __future__ import annotations

import numpy as np
import pytest

from base.errors import BadInput
from export.write_bundle import ExportOptions, export
from models import folder as folders
from models.labels import Seen, Wish
from runtime import available, backend
from runtime.backend import BackendOptions
from runtime.bundle import Bundle
from runtime.captioner import CaptionGenerator
from runtime.generator import Generator, Request
from tests import tiny

pytestmark = pytest.mark.slow  # ten graphs are exported


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("versatile")
    folders.save(tiny.versatile_student(), folder / "student")
    return export(str(folder / "student"), folder / "bundle", ExportOptions(trained=False))


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


def test_what_cannot_be_written_about_is_one_line(bundle: Bundle) -> None:
    captioner = CaptionGenerator(bundle)
    with pytest.raises(BadInput, match="as 'text_e' is unknown; accepted: text, text_fr"):
        captioner.caption([picture()], [0], "text_e")
    with pytest.raises(BadInput, match=r"a picture must be uint8 \(16, 16, 3\) or 4x32 finite numbers"):
        captioner.caption([picture()[:8]], [0])
    with pytest.raises(BadInput, match="steps 5 is not offered"):
        captioner.caption([picture()], [0], steps=5)
