"""torch as a backend: what the GPU would run is run here on the CPU, but for its compiler and its memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from base.errors import BadInput
from models import folder, noise
from runtime import backend, eager
from runtime.backend import BackendOptions
from runtime.bundle import Bundle
from runtime.generator import Generator, Request


def test_without_a_gpu_cuda_is_refused(bundle: Bundle) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(BadInput, match=r"'eager' finds no GPU: torch\.cuda is not available; accepted here: auto, cpu"):
        backend.load("eager", bundle, BackendOptions(device="cuda"))
    assert backend.load("eager", bundle).device == "cpu"  # type: ignore[attr-defined]


@pytest.mark.parametrize("wide", [(), ("decoder", "conditioner")])
@torch.no_grad()
def test_one_step_in_half_precision_without_a_branch(wide: tuple[str, ...], tiny_bundle: Path, bundle: Bundle) -> None:
    expected = Generator(bundle, backend.load("eager", bundle, BackendOptions(device="cpu"))).generate(
        [Request("a cat", 7)] * 2
    )
    pipeline = folder.load(tiny_bundle)
    eager.narrow(pipeline, wide, "cpu")
    kinds = {part: next(getattr(pipeline, part).parameters()).dtype for part in ("denoiser", "autoencoder")}
    assert kinds == {"denoiser": torch.float16, "autoencoder": torch.float32 if wide else torch.float16}
    ids = pipeline.conditioner.tokenize(["a cat"] * 2)  # type: ignore[operator]
    start = torch.from_numpy(noise.gaussian([7, 7], 1, bundle.manifest.latent_shape)[0])
    found = eager.one_step(pipeline)(input_ids=ids, noise=start)
    assert found.dtype == torch.uint8
    assert np.abs(found.numpy().astype(int) - expected).max() <= 2


@pytest.mark.gpu
def test_on_a_gpu_it_draws_the_same(bundle: Bundle) -> None:
    requests = [Request("a cat", 7), Request("two dogs", 8)]
    for steps in (1, 2):
        expected, found = (
            Generator(bundle, backend.load("eager", bundle, BackendOptions(device=device))).generate(requests, steps)
            for device in ("cpu", "cuda")
        )
        assert np.abs(found.astype(int) - expected).max() <= 3
        assert (
            Generator(bundle, backend.load("eager", bundle, BackendOptions(device="cuda")))
            .generate(requests * 2, steps)
            .shape[0]
            == 4
        )
