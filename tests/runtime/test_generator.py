"""Every backend draws what the torch pipeline draws."""

from __future__ import annotations

import numpy as np
import pytest

from base.errors import BadInput
from metrics.sharpness import psnr
from models import noise
from models.pipeline import Pipeline
from runtime import available
from runtime.backend import Backend
from runtime.bundle import Bundle
from runtime.generator import Generator, Request
from runtime.signature import LEAST_PSNR

REQUESTS = [Request("a cat", 7), Request("", 0), Request("two dogs", noise.MAX_SEED)]


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("name", available.installed("cpu"))
def test_images_are_those_of_the_pipeline(
    name: str, steps: int, bundle: Bundle, backends: dict[str, Backend], pipeline: Pipeline
) -> None:
    expected = pipeline.generate([r.input for r in REQUESTS], [r.seed for r in REQUESTS], steps)
    generator = Generator(bundle, backends[name])
    found = np.concatenate([generator.generate([request], steps) for request in REQUESTS])
    assert found.shape == (3, 16, 16, 3) and found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("steps", [1, 4])
def test_bf16_images_stay_close(steps: int, bundle: Bundle, backends: dict[str, Backend], pipeline: Pipeline) -> None:
    expected = pipeline.generate([r.input for r in REQUESTS], [r.seed for r in REQUESTS], steps)
    generator = Generator(bundle, backends["openvino_bf16"])
    found = np.concatenate([generator.generate([request], steps) for request in REQUESTS])
    assert psnr(found, expected) >= LEAST_PSNR


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("name", available.installed("cpu"))
def test_an_image_does_not_depend_on_its_neighbours(
    name: str, steps: int, bundle: Bundle, backends: dict[str, Backend]
) -> None:
    generator = Generator(bundle, backends[name])
    together = generator.generate([*REQUESTS, *REQUESTS, *REQUESTS], steps)  # more than the largest plan
    assert len(together) == 9
    for index, request in enumerate([*REQUESTS, *REQUESTS, *REQUESTS]):
        alone = generator.generate([request], steps)[0]
        assert np.abs(alone.astype(int) - together[index]).max() <= 2


def test_the_same_request_gives_the_same_bytes(bundle: Bundle, backends: dict[str, Backend]) -> None:
    generator = Generator(bundle, backends["ort"])
    first = generator.generate(REQUESTS)
    kept = first.copy()
    generator.generate([Request("b", 9)] * 3)
    np.testing.assert_array_equal(first, kept)  # images are not overwritten by the next batch
    np.testing.assert_array_equal(generator.generate(REQUESTS), kept)
    assert not np.array_equal(kept[0], kept[1])


@pytest.mark.parametrize(
    "requests, steps, message",
    [
        ([], 1, "no request"),
        ([Request("a", -1)], 1, f"seed -1 is out of range; accepted: 0 to {noise.MAX_SEED}"),
        ([Request("a", noise.MAX_SEED + 1)], 1, "out of range"),
        ([Request("a", 1)], 0, "steps 0 is not offered; accepted: 1, 2, 3, 4"),
        ([Request("a", 1)], 5, "accepted: 1, 2, 3, 4"),
    ],
)
def test_what_is_not_offered_is_refused(
    requests: list[Request], steps: int, message: str, bundle: Bundle, backends: dict[str, Backend]
) -> None:
    with pytest.raises(BadInput, match=message):
        Generator(bundle, backends["ort"]).generate(requests, steps)


def test_what_the_generator_says_of_itself(bundle: Bundle, backends: dict[str, Backend]) -> None:
    generator = Generator(bundle, backends["ort"])
    assert (generator.name, generator.sizes, generator.steps) == ("tiny", ((16, 16),), (1, 2, 3, 4))
    assert generator.dropped("a") == 0
    assert generator.dropped("abcdefghij") == 4  # ten letters, start and end, into eight places
    generator.warm(batches=(1, 2), steps=(1, 2))
