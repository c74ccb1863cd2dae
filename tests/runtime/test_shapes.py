"""Buckets: how they are written, what is planned for them, images of other sizes, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import BadInput
from export.write_bundle import ExportOptions, export
from models.pipeline import Pipeline
from runtime import available, networks
from runtime.backend import Backend, BackendOptions
from runtime.bundle import Bundle, open_bundle
from runtime.generator import Generator, Request
from runtime.openvino import OpenVinoBackend
from runtime.shapes import Bucket, joined, parse, parse_size, pieces

BUCKETS = (Bucket(1, 16, 16), Bucket(3, 16, 16), Bucket(2, 32, 16))
REQUESTS = [Request("a cat", 7), Request("", 0), Request("two dogs", 2), Request("b", 3)]
SIDES = st.integers(1, 99999)


@pytest.fixture(scope="module")
def bucketed(bundle: Bundle) -> Bundle:
    changes = {"buckets": BUCKETS, "sizes": ((16, 16), (32, 16))}
    return dataclasses.replace(bundle, manifest=bundle.manifest.model_copy(update=changes))


@given(st.lists(st.builds(Bucket, SIDES, SIDES, SIDES), min_size=1, max_size=5, unique=True))
def test_buckets_are_read_as_they_are_written(buckets: list[Bucket]) -> None:
    assert parse(", ".join(map(str, buckets))) == tuple(buckets)


@pytest.mark.parametrize(
    "text", ["", "64x64", "0x64x64", "1x64x64,", "1x64x-64", "1×64×64", "1x064x64", "1x64x1000000"]
)
def test_anything_else_is_no_bucket(text: str) -> None:
    with pytest.raises(BadInput, match="is not BATCHxWIDTHxHEIGHT"):
        parse(text)


def test_sizes_and_what_is_none() -> None:
    assert parse_size("64x48") == (64, 48)
    for text in ("64", "0x1", "1x64x64", "axb"):
        with pytest.raises(BadInput, match="is not WIDTHxHEIGHT"):
            parse_size(text)
    with pytest.raises(BadInput, match="one of them is there twice"):
        parse("1x64x64,1x64x64")


@given(total=st.integers(1, 25), batches=st.sets(st.integers(1, 9), min_size=1).map(sorted))
def test_batches_are_padded_to_plans_and_nothing_is_lost(total: int, batches: list[int]) -> None:
    rows = np.arange(total)[:, None]
    found = list(pieces({"sample": rows, "timestep": np.array(999)}, batches))
    assert all(len(inputs["sample"]) in batches and inputs["timestep"] == 999 for inputs, _ in found)
    whole = joined(({"one": inputs["sample"], "two": -inputs["sample"]}, count) for inputs, count in found)
    assert list(whole) == ["one", "two"]
    np.testing.assert_array_equal(whole["one"], rows)
    np.testing.assert_array_equal(whole["two"], -rows)


def test_a_bucket_gives_every_graph_its_shapes(bucketed: Bundle, bundle: Bundle) -> None:
    manifest = bucketed.manifest
    assert manifest.latent((32, 16)) == (4, 4, 8)
    axes = {"batch": 2, "height": 4, "width": 8, "image_height": 16, "image_width": 32}
    assert manifest.axes(BUCKETS[2]) == axes
    square, wide = np.zeros((5, 4, 4, 4), np.float32), np.zeros((5, 4, 4, 8), np.float32)
    ids = np.zeros((5, 8), np.int64)
    assert bucketed.batches("decoder", {"latent_sample": square}) == (1, 3)
    assert bucketed.batches("one_step", {"input_ids": ids, "noise": wide}) == (2,)
    assert bucketed.batches("encoder", {"sample": np.zeros((1, 3, 16, 32))}) == (2,)
    assert bucketed.batches("conditioner", {"input_ids": ids}) == (1, 2, 3)
    assert bucketed.batches("decoder", {"latent_sample": square[..., :2]}) == ()
    assert bundle.batches("decoder", {"latent_sample": square}) == ()


def test_openvino_plans_the_buckets_and_nothing_else(bucketed: Bundle) -> None:
    runner = OpenVinoBackend(bucketed, BackendOptions(threads=1), precision="f32")
    generator = Generator(bucketed, runner)
    for size in bucketed.manifest.sizes:
        assert generator.generate(REQUESTS, size=size).shape == (4, size[1], size[0], 3)
    planned = {(key[0], key[1][0], key[2][2:]) for key in runner._plans}
    assert planned == {("one_step", 1, (4, 4)), ("one_step", 3, (4, 4)), ("one_step", 2, (4, 8))}


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("name", available.installed("cpu"))
def test_images_of_another_size_are_those_of_the_pipeline(
    name: str, steps: int, bucketed: Bundle, backends: dict[str, Backend], pipeline: Pipeline
) -> None:
    wide = networks.at_size(pipeline, (32, 16))
    expected = wide.generate([r.input for r in REQUESTS], [r.seed for r in REQUESTS], steps)
    found = Generator(bucketed, backends[name]).generate(REQUESTS, steps, (32, 16))
    assert found.shape == (4, 16, 32, 3)
    assert np.abs(found.astype(int) - expected).max() <= 2


def test_images_to_start_from_have_the_size_that_is_drawn(bucketed: Bundle, backends: dict[str, Backend]) -> None:
    generator, start = Generator(bucketed, backends["ort"]), np.full((16, 32, 3), 50, np.uint8)
    assert generator.generate([Request("a", 1, start)], size=(32, 16)).shape == (1, 16, 32, 3)
    with pytest.raises(BadInput, match="the image to start from is 32x16; accepted: 16x16"):
        generator.generate([Request("a", 1, start)])


@pytest.mark.parametrize("size", [(32, 32), (16, 32), (0, 0)])
def test_other_sizes_are_refused_and_the_accepted_listed(
    size: tuple[int, int], bucketed: Bundle, backends: dict[str, Backend]
) -> None:
    with pytest.raises(BadInput, match=r"is not offered; accepted: 16x16, 32x16$"):
        Generator(bucketed, backends["ort"]).generate(REQUESTS, size=size)


@pytest.mark.slow
def test_exported_buckets_are_drawn_by_the_gate_and_kept(tiny_student: Path, tmp_path: Path) -> None:
    exported = export(str(tiny_student), tmp_path / "b", ExportOptions(trained=False, buckets=BUCKETS))
    manifest = open_bundle(tmp_path / "b").manifest
    assert manifest == exported.manifest
    assert (manifest.buckets, manifest.sizes) == (BUCKETS, ((16, 16), (32, 16)))
    for name in available.installed("cpu"):
        figures = manifest.parity[name]
        assert figures["psnr"] == min(figures["psnr 16x16"], figures["psnr 32x16"]) > 50


def test_a_bucket_that_the_networks_cannot_take_is_refused(tiny_student: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="bucket 1x16x20: width and height must be multiples of 8"):
        export(str(tiny_student), tmp_path / "b", ExportOptions(buckets=parse("1x16x20")))
    assert not list(tmp_path.iterdir())
