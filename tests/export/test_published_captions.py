"""A bundle of the published text flow: graphs over one copy of the weights, words one by one without torch, as torch writes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from base.errors import BadInput
from export.write_bundle import ExportOptions, export
from ippo import app
from models import folder as folders
from models import optimus
from models.labels import Seen, Wish
from models.scheduler_configs import student_scheduler
from runtime import available
from runtime.backend import BackendOptions
from runtime.bundle import Bundle
from runtime.captioner import CaptionGenerator
from runtime.generator import Request
from runtime.images import encode
from tests.models import tiny_published

pytestmark = pytest.mark.slow  # four graphs are exported


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    base = tiny_published.write(folder / "base")
    tiny_published.write_optimus(base / optimus.FOLDER)
    teacher = folders.load(base, "image-to-text")
    folders.save(replace(teacher, scheduler=student_scheduler(teacher.scheduler)), folder / "student")
    return folder / "student"


@pytest.fixture(scope="module")
def bundle(student: Path) -> Bundle:
    return export(str(student), student.parent / "bundle", ExportOptions(trained=False))


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def test_graphs_point_into_the_published_files(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert manifest.tasks == ("image-text-to-text",) and manifest.scheduler == "text_scheduler/scheduler_config.json"
    paths = {
        "conditioner": "text_encoder/model.onnx",
        "next_token": "optimus/next_token.onnx",
        "denoiser": "denoiser.onnx",
    }
    assert manifest.graphs == {**paths, "image_encoder": "image_encoder/model.onnx"}
    graph = (bundle.folder / "denoiser.onnx").read_bytes()
    for folder in ("image_unet", "text_unet"):
        assert f"{folder}/diffusion_pytorch_model.safetensors".encode() in graph
    assert sum(file.stat().st_size for file in bundle.folder.rglob("*.onnx*")) < 3e6
    assert bundle.flow("image-to-text") == bundle and bundle.by_word is not None and bundle.by_word.longest == 30
    assert min(manifest.parity[name]["agreement"] for name in available.installed("cpu")) > 0.9
    with pytest.raises(BadInput, match="does not do text-to-image; it does: image-text-to-text"):
        bundle.flow("text-to-image")


@pytest.mark.parametrize("name", available.installed("cpu"))
def test_words_are_those_of_torch(name: str, bundle: Bundle) -> None:
    captioner = CaptionGenerator(bundle, name, BackendOptions(threads=1, device="cpu"))
    assert captioner.reads and captioner.size == (16, 16) and not captioner.columns
    pipeline = folders.load(bundle.folder, "image-to-text")
    inputs = [Seen(picture()), "a red cat", Wish("dog", content=picture(1)), Seen(picture(2))]
    for steps in (1, 2):
        expected = pipeline.generate(inputs, [1, 2, 3, 4], steps)
        found = captioner.generator.generate([Request(one, seed) for seed, one in enumerate(inputs, 1)], steps)
        assert (found == expected).mean() > 0.8
    captions = captioner.caption([picture(), picture(2)], [1, 4])
    texts = pipeline.autoencoder.texts(found[[0, 3]])  # type: ignore[operator]
    assert [one.text for one in captioner.caption([picture(), picture(2)], [1, 4], steps=2)] == texts
    assert all("<" not in one.text for one in captions)
    assert captioner.reword(["a red cat"], [2], steps=2)[0].text == pipeline.autoencoder.texts(found[[1]])[0]  # type: ignore[operator]
    assert len({tuple(row) for row in found.tolist()}) > 1 and max(len(set(row)) for row in found.tolist()) > 3


def test_what_cannot_be_said_is_one_line(bundle: Bundle, student: Path) -> None:
    captioner = CaptionGenerator(bundle, "ort", BackendOptions(threads=1))
    with pytest.raises(BadInput, match="as 'text' is unknown; this model has no kinds of caption"):
        captioner.caption([picture()], [0], "text")
    with pytest.raises(BadInput, match="prompt is empty; accepted: a text to say otherwise"):
        captioner.reword([" "], [0])
    with pytest.raises(BadInput, match="writes word by word, so it has no fused graph, which int8 needs"):
        export(str(student), student.parent / "int8", ExportOptions(precision="int8"))


def test_it_writes_without_torch(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(picture(), "png"))
    runner, folder = CliRunner(), ["--bundle", str(bundle.folder)]
    said = runner.invoke(app, ["caption", str(tmp_path / "a.png"), "--backend", "ort", *folder])
    assert said.exit_code == 0 and said.stdout.startswith(f"{tmp_path / 'a.png'}: ")
    code = (
        "import sys\nfrom runtime.bundle import open_bundle\nfrom runtime.captioner import CaptionGenerator\n"
        "print(CaptionGenerator(open_bundle(sys.argv[1]), 'ort').reword(['a red cat'], [2])[0].text)\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    alone = subprocess.run([sys.executable, "-c", code, str(bundle.folder)], capture_output=True, text=True)
    assert alone.returncode == 0, alone.stderr[-500:]
    texts = runner.invoke(app, ["caption", "--text", "a red cat", "--seed", "2", "--backend", "ort", *folder])
    assert texts.stdout.strip() == (alone.stdout.strip() or "(nothing)")
    refused = runner.invoke(app, ["caption", "--text", "cat", str(tmp_path / "a.png"), *folder])
    assert "takes pictures, or --text; accepted: one of the two" in str(refused.exception)
    assert json.loads((bundle.folder / "by_word.json").read_text())["past"] == [4, 2, 30, 8]
