"""A bundle that writes and draws nothing, served: captions of pictures, texts said otherwise, and one line for all else."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

from base.errors import BadInput
from export import write_bundle
from ippo import app
from models import folder as folders
from models import optimus
from models.scheduler_configs import student_scheduler
from runtime.bundle import BY_WORD_FILE, open_bundle
from runtime.manifest import MANIFEST
from serving.application import application
from serving.preflight import check_together
from serving.serve_config import ServeConfig
from tests.models import tiny_published


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny published text flow as a bundle without graphs, which `backend: eager` runs."""
    place = tmp_path_factory.mktemp("writer")
    base = tiny_published.write(place / "base")
    tiny_published.write_optimus(base / optimus.FOLDER)
    teacher = folders.load(base, "image-to-text")
    student = replace(teacher, scheduler=student_scheduler(teacher.scheduler))
    folders.save(student, place / "bundle")
    words = student.autoencoder.by_word
    assert words is not None
    (place / "bundle" / BY_WORD_FILE).write_text(json.dumps(asdict(words)))
    manifest = write_bundle._manifest(student, place / "bundle", {"next_token": "none"}, {}, "writer")
    (place / "bundle" / MANIFEST).write_text(manifest.model_dump_json())
    return place / "bundle"


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    config = ServeConfig(bundle=folder, backend="eager", threads=1, page=False, batches=(1,), max_prompt=50)
    with TestClient(application(config)) as client:
        yield client


def picture(seed: int = 0) -> str:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def test_pictures_and_texts_are_written_about(client: TestClient) -> None:
    bodies = [{"image": picture()}, {"prompt": "a red cat"}, {"image": picture(), "prompt": "a red cat"}]
    said = [client.post("/caption", json={**body, "n": 2, "seed": 3}).json()["captions"] for body in bodies]
    assert all([one["seed"] for one in captions] == [3, 4] for captions in said)
    assert len({json.dumps(captions) for captions in said}) == 3
    again = client.post("/caption", json={**bodies[1], "n": 2, "seed": 3}).json()["captions"]
    assert again == said[1] and all("<" not in one["text"] for one in again)
    url = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture()}"}}
    chat = client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": [url]}], "seed": 3})
    assert chat.json()["choices"][0]["message"]["content"] == said[0][0]["text"]
    tokens, longest = (tiny_published.SIDE // tiny_published.PATCH) ** 2 + 1, 29  # of 30, the first is given
    usage = chat.json()["usage"]
    assert usage["prompt_tokens"] == tokens and 1 <= usage["completion_tokens"] <= longest


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/caption", {}, 400, "image is missing"),
        ("/caption", {"prompt": "  "}, 400, "image is missing"),
        ("/caption", {"prompt": "x" * 51}, 400, "prompt has 51 characters; at most 50"),
        ("/caption", {"prompt": "cat", "as": "text"}, 400, "as is for captions of a picture alone"),
        (
            "/caption",
            {"image": picture(), "as": "text"},
            400,
            "as 'text' is unknown; this model has no kinds of caption",
        ),
        ("/caption", {"prompt": "\ud83d"}, 400, ""),
        ("/generate", {"prompt": "cat"}, 404, "writer draws nothing; it does image-text-to-text"),
        ("/v1/images/generations", {"prompt": "cat"}, 404, "writer draws nothing"),
        ("/sdapi/v1/txt2img", {"prompt": "cat"}, 404, "writer draws nothing"),
        ("/v1/images/variations", {}, 400, ""),
    ],
)
def test_all_else_is_one_line(path: str, body: dict[str, object], status: int, says: str, client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post(path, content=json.dumps(body), headers=headers)
    assert answer.status_code in (status, 404, 415) if path.endswith("variations") else answer.status_code == status
    assert says in answer.text and "\n" not in answer.text.strip()


def test_its_page_is_refused_before_it_starts(folder: Path) -> None:
    manifest = open_bundle(folder).manifest
    with pytest.raises(BadInput, match="page: it draws, and writer writes alone; accepted: page=false"):
        check_together([manifest], ServeConfig(bundle=folder))


@pytest.mark.parametrize("command", [["generate", "cat"], ["bulk", "prompts.txt", "--out", "drawn"]])
def test_commands_that_draw_name_the_one_that_writes(
    command: list[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("prompts.txt").write_text("cat\n")
    refused = CliRunner().invoke(app, [*command, "--bundle", str(folder)])
    assert "draws nothing; it does image-text-to-text (ippo caption)" in str(refused.exception)
    said = CliRunner().invoke(app, ["caption", "--text", "a red cat", "--bundle", str(folder), "--backend", "eager"])
    assert said.exit_code == 0 and said.stdout.strip()
