"""Bulk generation: every image once and with the same bytes, whatever was killed in between."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from base.errors import BadInput
from runtime import ort, shards
from runtime.backend import BackendOptions
from runtime.bundle import open_bundle
from runtime.generator import Generator, Request
from runtime.prompts import Row

PROMPTS = [f"a cat number {number}" for number in range(22)]


class Killed(Exception):
    """In place of `kill -9`, at a chosen place."""


@pytest.fixture(scope="module")
def generator(tiny_bundle: Path) -> Generator:
    bundle = open_bundle(tiny_bundle)
    return Generator(bundle, ort.load(bundle, BackendOptions(threads=1)))


def raw(pixels: NDArray[np.uint8], request: Request) -> bytes:
    return pixels.tobytes()


def files(out: Path) -> dict[str, bytes]:
    return {str(file.relative_to(out)): file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}


def job(generator: Generator, requests: Sequence[Request] = (), steps: int = 1) -> shards.Job:
    return shards.job_of(generator, requests or asked(), steps, "png", batch=4, shard=5)


def run(generator: Generator, out: Path, encode: shards.Encode = raw, **changed: Any) -> Path:
    work = replace(job(generator), **changed)
    return shards.run(lambda: shards.Painter(generator, work, out, encode), work, out, asked())


def asked() -> list[Request]:
    return shards.requests_of([Row(prompt) for prompt in PROMPTS], seed=3)


def test_every_image_once_with_its_metadata(generator: Generator, tmp_path: Path) -> None:
    manifest = json.loads(run(generator, tmp_path / "out").read_text())
    assert manifest["complete"] and list(manifest["shards"]) == [f"shard-{number:05d}" for number in range(5)]
    rows = []
    for shard, digest in manifest["shards"].items():
        metadata = (tmp_path / "out" / shard / shards.METADATA).read_bytes()
        assert hashlib.sha256(metadata).hexdigest() == digest
        for line in metadata.splitlines():
            rows.append(json.loads(line))
            file = (tmp_path / "out" / shard / rows[-1]["file_name"]).read_bytes()
            assert hashlib.sha256(file).hexdigest() == rows[-1]["sha256"]
    assert [(row["prompt"], row["seed"]) for row in rows] == [
        (prompt, 3 + place) for place, prompt in enumerate(PROMPTS)
    ]
    assert len({row["file_name"] for row in rows}) == len(PROMPTS)


@pytest.mark.parametrize("places", [(0, 9), (3, 4), (7, 16), (21, 22)])
def test_killed_twice_and_run_again_has_the_same_bytes(
    generator: Generator, tmp_path: Path, places: tuple[int, int]
) -> None:
    run(generator, tmp_path / "whole")
    drawn = []

    def killed(pixels: NDArray[np.uint8], request: Request) -> bytes:
        if len(drawn) in places:
            drawn.append(request)
            raise Killed
        drawn.append(request)
        return raw(pixels, request)

    out = tmp_path / "out"
    for _ in range(2):
        with pytest.raises(Killed):
            run(generator, out, killed)
        assert not json.loads((out / "manifest.json").read_text())["complete"]
    run(generator, out)
    assert files(out) == files(tmp_path / "whole")


def test_what_is_whole_is_not_drawn_again(generator: Generator, tmp_path: Path) -> None:
    run(generator, tmp_path / "out")

    def never(pixels: NDArray[np.uint8], request: Request) -> bytes:
        raise AssertionError

    run(generator, tmp_path / "out", never)


def test_another_job_another_folder_and_two_at_once_are_refused(generator: Generator, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(generator, out)
    for changed in ({"steps": 2}, {"device": "cpu"}, {"reproducible": True}, {"batch": 2}):
        with pytest.raises(BadInput, match=f"holds another job: {next(iter(changed))} differ"):
            run(generator, out, **changed)
    with pytest.raises(BadInput, match="holds another job: prompts, pictures or seeds differ"):
        run(generator, out, prompts="of another seed")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "picture.png").touch()
    with pytest.raises(BadInput, match="holds other things"):
        run(generator, tmp_path / "mine")
    (tmp_path / "mine" / "manifest.json").write_text('{"job": "mine", "shards": {}}')
    with pytest.raises(BadInput, match="is no manifest of bulk generation"):
        run(generator, tmp_path / "mine")
    with shards._alone(out), pytest.raises(BadInput, match="another run is at work"):
        run(generator, out)


def test_requests_have_the_rows_seeds(generator: Generator) -> None:
    requests = shards.requests_of([Row("a"), Row("b", 100), Row("c")], seed=10, count=2)
    assert [(request.input, request.seed) for request in requests] == [
        ("a", 10), ("a", 11), ("b", 100), ("b", 101), ("c", 14), ("c", 15),
    ]  # fmt: skip
    with pytest.raises(BadInput, match=r"^image 2: seed"):
        job(generator, [Request("a", 1), Request("a", 2**64)])
    with pytest.raises(BadInput, match=r"^steps 5 is not offered"):
        job(generator, steps=5)


def ippo(bundle: Path, prompts: Path, *options: str) -> list[str]:
    """The command that draws `prompts`; the folder to draw into follows."""
    command = [sys.executable, str(Path(__file__).parents[2] / "ippo.py"), "bulk", str(prompts)]
    return [
        *command,
        "--bundle",
        str(bundle),
        "--backend",
        "ort",
        "--shard",
        "16",
        "--format",
        "webp",
        *options,
        "--out",
    ]


def test_ray_is_missed_in_one_line(tiny_bundle: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("ray") is not None:
        pytest.skip("Ray is installed")
    (tmp_path / "p.txt").write_text("a cat")
    command = [*ippo(tiny_bundle, tmp_path / "p.txt", "--engine", "ray"), str(tmp_path / "out")]
    missed = subprocess.run(command, timeout=300, capture_output=True, text=True)
    assert missed.returncode == 2 and "pip install 'ippo[ray]'" in missed.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_ray_draws_the_same_bytes(tiny_bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    (tmp_path / "p.txt").write_text("\n".join(PROMPTS * 2))
    plain = [*ippo(tiny_bundle, tmp_path / "p.txt"), str(tmp_path / "plain")]
    subprocess.run(plain, check=True, timeout=300, capture_output=True)
    on_ray = ippo(tiny_bundle, tmp_path / "p.txt", "--engine", "ray", "--actors", "2")
    drawn = subprocess.run([*on_ray, str(tmp_path / "ray")], timeout=300, capture_output=True, text=True)
    assert drawn.returncode == 0, drawn.stderr[-2000:]
    assert files(tmp_path / "ray") == files(tmp_path / "plain")
