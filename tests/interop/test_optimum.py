"""optimum-onnx, in an environment of its own, and ippo open each other's folders and draw the same images (make interop)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.child import Peer
from benchmarks.size.random_networks import SMALL, student
from benchmarks.size.sd14_peers import INTEROP, OPTIMUM_PEER
from export.adopt import adopt
from export.write_bundle import ExportOptions, export
from metrics.sharpness import psnr
from models import folder, noise
from runtime import backend
from runtime.bundle import Bundle
from runtime.generator import Generator, Request

pytestmark = pytest.mark.interop
PROMPT = "a cat with heart eyes"


@pytest.fixture(scope="module")
def optimum() -> Iterator[Peer]:
    with Peer(INTEROP, OPTIMUM_PEER) as peer:
        yield peer


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("student") / "small"
    folder.save(student(SMALL, "KL"), out)
    return out


def drawn_by(optimum: Peer, opened: Path, bundle: Bundle, seed: int, scratch: Path) -> np.ndarray:
    """uint8 `(N, H, W, 3)`."""
    np.save(scratch / "latents.npy", noise.gaussian([seed], 1, bundle.manifest.latent_shape)[0])
    optimum.ask("open", folder=str(opened), threads=1)
    files = {"latents": str(scratch / "latents.npy"), "out": str(scratch / "image.npy")}
    optimum.ask("draw", folder=str(opened), prompt=PROMPT, **files)
    return np.rint(np.load(scratch / "image.npy") * 255).astype(np.uint8)


@pytest.mark.parametrize("shipped", [False, True], ids=["KL decoder", "the bundle that ships"])
def test_optimum_opens_our_bundle_and_draws_the_same(optimum: Peer, saved: Path, tmp_path: Path, shipped: bool) -> None:
    name = "models/pretrained/emoji/student" if shipped else str(saved)
    bundle = export(name, tmp_path / "b", ExportOptions(trained=shipped, inputs=[PROMPT]))
    theirs = drawn_by(optimum, bundle.folder.resolve(), bundle, 7, tmp_path)
    ours = Generator(bundle, backend.load("ort", bundle)).generate([Request(PROMPT, 7)])
    assert psnr(ours, theirs) >= 35


def test_what_optimum_exported_opens_here(optimum: Peer, saved: Path, tmp_path: Path) -> None:
    optimum.ask("export", model=str(saved), out=str(tmp_path / "theirs"))
    bundle = adopt(tmp_path / "theirs", tmp_path / "adopted")
    expected = folder.load(saved).generate([PROMPT, "a dog"], [7, 8])
    requests = [Request(PROMPT, 7), Request("a dog", 8)]
    for name in ("ort", "openvino"):
        generator = Generator(bundle, backend.load(name, bundle))
        assert psnr(generator.generate(requests), expected) >= 35
        assert generator.generate(requests, 2).shape == expected.shape
    start = Request(PROMPT, 7, expected[0], 0.5)
    assert Generator(bundle, backend.load("ort", bundle)).generate([start]).shape == expected[:1].shape
    theirs = drawn_by(optimum, tmp_path / "theirs", bundle, 7, tmp_path)
    assert psnr(expected[:1], theirs) >= 35
