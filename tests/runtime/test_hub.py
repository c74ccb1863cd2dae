"""Bundles from a Hub by name, and onto it, through huggingface_hub and a real server on loopback."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from base.errors import BadInput
from commands.bulk import bulk
from commands.generate import generate
from evaluation.subjects import student_draws
from export.publish import PushOptions, push
from models import folder as folders
from models.pipeline import Pipeline
from runtime import backend as backends
from runtime import hub
from runtime.bundle import open_bundle
from runtime.generator import Generator, Request
from runtime.manifest import MANIFEST
from serving import preflight, supervisor
from serving.serve_config import ServeConfig
from tests import hub_server, tiny
from tests.hub_server import TOKEN, Hub

NAME = "somebody/tiny-model"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPPO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_server.serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server


@pytest.fixture(scope="module")
def pushed(tiny_bundle: Path) -> Iterator[tuple[Hub, str]]:
    """A Hub with the tiny bundle, and what push returned."""
    with hub_server.serving() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", server.address)
        patch.setenv("HF_TOKEN", TOKEN)
        yield server, push(tiny_bundle, NAME, PushOptions(license="cc0-1.0"))


@pytest.fixture
def there(pushed: tuple[Hub, str], monkeypatch: pytest.MonkeyPatch) -> tuple[Hub, str]:
    monkeypatch.setenv("HF_ENDPOINT", pushed[0].address)
    pushed[0].asked.clear()
    return pushed


def test_what_is_pushed_and_fetched_draws_the_same(there: tuple[Hub, str], tiny_bundle: Path) -> None:
    server, source = there
    own, fetched = open_bundle(tiny_bundle), open_bundle(f"hub:{NAME}")
    assert fetched.manifest == own.manifest.model_copy(update={"source": source})
    assert fetched.hash == own.hash
    assert set(server.repositories[NAME][source.partition("@")[2]]) == {
        *own.manifest.files,
        MANIFEST,
        "README.md",
        "picture.png",
    }
    assert not any(path.suffix in (".bin", ".pt", ".ckpt") for path in fetched.folder.rglob("*"))
    ours, theirs = (Generator(one, backends.load("ort", one)).generate([Request("red", 7)]) for one in (own, fetched))
    np.testing.assert_array_equal(theirs, ours)


def test_a_revision_is_fetched_once_and_then_never_asked_for(there: tuple[Hub, str]) -> None:
    server, source = there
    folder = hub.local(f"hub:{NAME}")
    assert not any("picture" in request or "README" in request for request in server.asked)
    server.asked.clear()
    assert hub.local(Path(f"hub:{NAME}")) == folder
    assert server.asked == [f"GET /api/models/{NAME}"]
    assert hub.local(source) == folder and len(server.asked) == 1


def test_without_the_hub_what_was_fetched_before_serves(
    there: tuple[Hub, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = hub.local(f"hub:{NAME}")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{_closed_port()}")
    with pytest.warns(
        UserWarning, match=f"cannot be reached .*what was fetched before is used, revision {folder.name}"
    ):
        assert hub.local(f"hub:{NAME}") == folder
    for name in ("hub:somebody/else", f"hub:{NAME}@v2"):
        with pytest.raises(
            BadInput, match=r"cannot be reached .*, and nothing was fetched under this name before"
        ) as error:
            hub.local(name)
        assert "\n" not in str(error.value) and "(Connection refused)" in str(error.value)


def test_a_broken_connection_leaves_what_it_brought(
    there: tuple[Hub, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, source = there
    files = server.repositories[NAME][source.partition("@")[2]]
    lost = {"unet/config.json": files.pop("unet/config.json")}
    with pytest.raises(BadInput, match=r"not whole: it has no unet/config\.json"):
        hub.local(source)
    files |= lost
    server.asked.clear()
    assert open_bundle(source).manifest.source == source
    again = [request for request in server.asked if request.startswith("GET") and request.endswith(".safetensors")]
    assert len(again) < sum(name.endswith(".safetensors") for name in files)


def test_the_page_says_what_draws_and_how_well(there: tuple[Hub, str], tmp_path: Path) -> None:
    server, source = there
    files = server.repositories[NAME][source.partition("@")[2]]
    _, head, body = files["README.md"].decode().split("---\n", 2)
    assert yaml.safe_load(head) == {
        "library_name": "diffusers",
        "tags": ["ippo", "one-step", "onnx", "text-to-image"],
        "pipeline_tag": "text-to-image",
        "license": "cc0-1.0",
    }
    assert f"ippo serve --bundle hub:{NAME}" in body and "![What it draws](picture.png)" in body
    assert "| ort | " in body and " dB |" in body
    (tmp_path / "p.png").write_bytes(files["picture.png"])
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.size == (4 * 18 - 2, 2 * 18 - 2)
        assert "prompt" in picture.text  # type: ignore[attr-defined]


def test_an_evaluation_and_a_page_of_ones_own(
    served: Hub, tiny_bundle: Path, tiny_student: Path, tmp_path: Path
) -> None:
    (tmp_path / "quality.md").write_text("| FD |\n| 0.01 |\n")
    Image.new("RGB", (2, 2)).save(tmp_path / "held-out-captions.png")
    push(tiny_student, NAME, PushOptions(private=True, evaluation=tmp_path))
    files = list(served.repositories[NAME].values())[-1]
    assert "| 0.01 |" in files["README.md"].decode()
    assert "![held out captions](quality/held-out-captions.png)" in files["README.md"].decode()
    assert {"quality/held-out-captions.png", "model_index.json", "unet/diffusion_pytorch_model.safetensors"} <= set(
        files
    )
    assert served.private == {NAME}
    own = shutil.copytree(tiny_bundle, tmp_path / "own")
    (own / "README.md").write_text("# Mine\n")
    push(own, NAME)
    assert list(served.repositories[NAME].values())[-1]["README.md"].decode().endswith("---\n# Mine\n")


@pytest.mark.parametrize(
    "made", [tiny.pixel_teacher, tiny.attribute_teacher, tiny.versatile_teacher], ids=lambda made: made.__name__
)
def test_a_folders_page_names_its_task(served: Hub, made: Callable[[], Pipeline], tmp_path: Path) -> None:
    pipeline = made()
    folders.save(pipeline, tmp_path / "folder")
    push(tmp_path / "folder", NAME)
    page = list(served.repositories[NAME].values())[-1]["README.md"].decode()
    assert yaml.safe_load(page.split("---\n")[1])["pipeline_tag"] == pipeline.task


def test_pickles_are_refused(served: Hub, tiny_student: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_student, tmp_path / "student")
    (folder / "unet/diffusion_pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(BadInput, match=r"diffusion_pytorch_model\.bin is a pickle"):
        push(folder, NAME)
    with pytest.raises(BadInput, match="neither a bundle nor a diffusers folder"):
        push(tmp_path, NAME)
    assert served.asked == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hub:tiny", "'tiny' is no name on the Hub; accepted: user/name"),
        ("hub:../x", "is no name on the Hub"),
        ("hub:a/b/c", "is no name on the Hub"),
        ("hub:nobody/nothing", "hub:nobody/nothing: the Hub has no such model or revision, or it is private"),
        (f"hub:{NAME}@v9", f"hub:{NAME}: the Hub has no such model or revision"),
        (
            "hub:somebody/other",
            "hub:somebody/other@[0-9a-f]* is no bundle of ippo, or not whole: it has no manifest.json",
        ),
        ("hub:somebody/evil", "lists ../../evil, which lies outside of the bundle"),
        ("hub:somebody/broken", "is no bundle of ippo: its manifest.json lists no files"),
    ],
)
def test_what_the_hub_does_not_have_is_one_line(served: Hub, name: str, message: str) -> None:
    served.commit(NAME, {"a": b"b"})
    served.commit("somebody/other", {"README.md": b"hello"})
    served.commit("somebody/evil", {MANIFEST: json.dumps({"files": {"../../evil": "0"}}).encode()})
    served.commit("somebody/broken", {MANIFEST: b"[]"})
    with pytest.raises(BadInput, match=message) as error:
        open_bundle(name)
    assert "\n" not in str(error.value)


def test_whoever_may_not_write_is_told_to_log_in(
    served: Hub, tiny_student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(BadInput, match=f"hub:{NAME}: the Hub does not let you: log in with a token that may"):
        push(tiny_student, NAME)
    with pytest.raises(BadInput, match=r"cannot be reached|switched off"):
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{_closed_port()}")
        push(tiny_student, NAME)


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_every_command_that_takes_a_bundle_takes_a_name(there: tuple[Hub, str], tmp_path: Path) -> None:
    name = Path(f"hub:{NAME}")
    generate(["red"], bundle=name, out=tmp_path / "red.png", backend="ort")
    (tmp_path / "prompts.txt").write_text("red\nblue\n")
    bulk(tmp_path / "prompts.txt", bundle=name, out=tmp_path / "many", backend="ort")
    assert (tmp_path / "red.png").is_file() and len([*(tmp_path / "many").rglob("*.png")]) == 2
    config = ServeConfig.resolve(
        None, {}, [f"models=a={name},b={there[1]}", "backend=ort", "batches=1", "image_to_image=false"]
    )
    resolved = config.model_copy(
        update={"models": {alias: supervisor.local(folder) for alias, folder in config.models.items()}}
    )
    preflight.check(resolved)
    assert {alias: folder.name for alias, folder in resolved.models.items()} == dict.fromkeys(
        "ab", there[1].partition("@")[2]
    )
    assert student_draws(str(name), backend="ort")["student, 1 step"](["red"], [0]).shape == (1, 16, 16, 3)
