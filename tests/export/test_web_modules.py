"""The page's modules beside what the server does: noise, sampler, pixels, inputs, and what a picture says of itself."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from base.errors import BadInput
from base.shipped import PRETRAINED
from export.site_description import Site, describe
from models import noise, pixels, sampling
from models.schedule import STUDENT_TIMESTEPS, Prediction, Schedule, student_timesteps
from models.task import task_of
from runtime.bundle import open_bundle
from runtime.provenance import Provenance, told
from tests.export.node import NODE, SITE, needs_node, node

pytestmark = needs_node

TAIL = 3.6541528853610088
"""From here on the C library's `log1pf` has a say, whose last bit differs between libraries."""


def site(name: str) -> Site:
    return describe(open_bundle(PRETRAINED / name / "student"))


@pytest.mark.parametrize("count", [1_000_000])
def test_noise_is_numpys(count: int) -> None:
    """A million numbers of each seed are the same; those of the tails may differ in their last bit."""
    seeds = [7, noise.MAX_SEED]
    found = np.frombuffer(node("noise.js", {"seeds": [str(seed) for seed in seeds], "count": count}), np.float32)
    expected = noise.gaussian(seeds, 1, (count,))[0]  # (N, count)
    found = found.reshape(expected.shape)
    tail = np.abs(expected) > TAIL
    np.testing.assert_array_equal(found[~tail], expected[~tail])
    np.testing.assert_array_max_ulp(found[tail], expected[tail], 1)
    assert 400 < tail.sum() < 700


def test_the_first_numbers_of_many_seeds() -> None:
    seeds = [*range(100), *(2**bits + 3 for bits in range(7, 63))]
    found = np.frombuffer(node("noise.js", {"seeds": [str(seed) for seed in seeds], "count": 300}), np.float32)
    expected = noise.gaussian(seeds, 1, (300,))[0]
    np.testing.assert_array_max_ulp(found.reshape(expected.shape), expected, 1)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_what_seeds_choose_is_the_servers(count: int) -> None:
    seeds = [*range(300), noise.MAX_SEED]
    expected = [noise.chosen(seed, count) for seed in seeds]
    found = json.loads(node("noise.js", {"seeds": [str(seed) for seed in seeds], "count": count, "choose": True}))
    assert found == expected and set(expected) == set(range(count))
    assert min(expected.count(one) for one in range(count)) > 300 / count * 0.7


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
@pytest.mark.parametrize("steps", STUDENT_TIMESTEPS)
def test_the_sampler_is_the_servers(prediction: Prediction, steps: int) -> None:
    config = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "prediction_type": prediction}
    schedule = Schedule.from_config({**config, "rescale_betas_zero_snr": prediction != "epsilon"})
    drawn = noise.gaussian([steps], steps, (2, 4, 4))  # (steps, N, C, h, w)
    expected = sampling.student_loop(lambda sample, _: sample / 2, list(drawn), student_timesteps(steps), schedule)
    every = [{"number": t, "alpha": schedule.alpha[t], "sigma": schedule.sigma[t]} for t in STUDENT_TIMESTEPS[4]]
    levels = np.linspace(-1.1, 1.1, 3 * 256, dtype=np.float32)
    strengths = [(count, strength / 20) for count in STUDENT_TIMESTEPS for strength in range(1, 21)]
    found = json.loads(
        node(
            "draw.js",
            {
                "noises": [one.ravel().tolist() for one in drawn],
                "every": every,
                "prediction": prediction,
                "strengths": strengths,
                "planes": levels.tolist(),
                "bytes": list(range(255)),
            },
        )
    )
    np.testing.assert_array_equal(np.array(found["x0"], np.float32), expected.ravel())
    assert found["walks"] == [[*student_timesteps(*one)] for one in strengths]
    np.testing.assert_array_equal(found["pixels"], pixels.to_bytes(levels.reshape(1, 3, 16, 16)).ravel())
    grey = np.arange(255, dtype=np.uint8).reshape(1, 5, 17, 3)
    np.testing.assert_array_equal(np.array(found["planes"], np.float32), pixels.from_bytes(grey).ravel())


ATTRIBUTES = ["Zombie", "Cap", "Ape", "Pipe", "Bob", "3D Glasses", "Nobody", ""]
WEIGHTS = ["", "=1", "=2", "=0.25", "=0", "=3.5", "=-1", "=x", "="]


@settings(max_examples=4, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(ATTRIBUTES), st.sampled_from(WEIGHTS)), max_size=4), min_size=60, max_size=60
    )
)
def test_attributes_are_read_as_the_server_reads_them(requests: list[list[tuple[str, str]]]) -> None:
    agree("avatars", [", ".join(name + weight for name, weight in request) for request in requests])


def test_labels_are_read_as_the_server_reads_them() -> None:
    agree("digits", ["0", "7", "9", "10", "x"])


def agree(name: str, texts: list[str]) -> None:
    """Both refuse a text, or both make the same row of it."""
    task = task_of(open_bundle(PRETRAINED / name / "student").manifest)
    found = json.loads(node("inputs.js", {"control": site(name).control, "texts": texts}))
    for text, one in zip(texts, found, strict=True):
        try:
            parsed = task.parse(text)
        except BadInput:
            assert "refused" in one, text
        else:
            assert one == {"text": task.text(parsed), "row": [*task.row(parsed)]}, text


@pytest.mark.parametrize("prompt", ["red heart", "œuf & <cœur> 心 🦊 \"'\\", "étoile"])
@pytest.mark.parametrize(("strength", "mix"), [(None, 0.3), (None, 1.0), (0.5, None), (1.0, None)])
def test_a_picture_says_what_the_servers_says(prompt: str, strength: float | None, mix: float | None) -> None:
    described = site("emoji")
    own = described.provenance
    files = {} if mix is None else {"content": prompt, "style": "another file"}
    further = told({name: text.encode() for name, text in files.items()} | ({} if mix is None else {"mix": mix}))
    expected = Provenance({"prompt": prompt}, noise.MAX_SEED, 2, own.model, own.model_hash, strength, further=further)
    drawn = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    request = {"text": prompt, "seed": str(noise.MAX_SEED), "steps": 2, "size": [5, 3], "strength": strength}
    values = {"site": dataclasses.asdict(described), "pixels": drawn.ravel().tolist()}
    file = node("picture.js", {**values, "request": {**request, "image": strength, "files": files, "mix": mix}})
    with Image.open(io.BytesIO(file)) as picture:
        picture.load()
        np.testing.assert_array_equal(np.asarray(picture), drawn)
        texts: dict[str, Any] = dict(picture.text)  # type: ignore[attr-defined]
    assert texts.pop("XML:com.adobe.xmp") == expected.xmp().decode()
    assert texts == {name: str(value) for name, value in expected.fields().items()}


@pytest.mark.parametrize("file", sorted(SITE.glob("*.test.js")), ids=lambda file: Path(file).name)
def test_its_own(file: Path) -> None:
    """What Node's own test runner says."""
    done = subprocess.run([NODE or "node", "--test", str(file)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:]
