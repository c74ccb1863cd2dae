"""The pages of full-size bases, word by word: every command of their first section, on a tiny base, to a served picture."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from models.folder import load
from tests.docs.workplace import BASE, ROOT, SETS, environment, workplace

SECTION = "## The line"
PAGES = [name for name in SETS if SECTION in (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")]
PORT = "3000"
"""The pages' own; a test takes a free one."""


def commands(page: Path) -> list[str]:
    """The lines of the section's shell block, a line that ends in a backslash with the one that follows."""
    section = page.read_text(encoding="utf-8").partition(SECTION)[2].partition("\n## ")[0]
    block = re.search(r"```bash\n(.*?)```", section, re.DOTALL)
    assert block, f"{page.name} has no shell block in '{SECTION}'"
    lines = block[1].replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_goes_from_data_to_a_served_picture(name: str) -> None:
    """What the slow test below runs is the whole line, and names configurations that ship."""
    found = commands(ROOT / "docs" / f"{name}.md")
    steps = ["ippo data build", "ippo train teacher", "ippo train student", "ippo export", "ippo serve", "curl"]
    places = [next(place for place, line in enumerate(found) if line.startswith(step)) for step in steps]
    assert places == sorted(places)
    for file in re.findall(r"configs/\S+\.yaml", "\n".join(found)):
        assert (ROOT / file).is_file(), file


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_page_word_by_word(name: str, tmp_path: Path) -> None:
    folder = workplace(tmp_path / "user")
    port = _free_port()
    found = [line.replace(PORT, port) for line in commands(ROOT / "docs" / f"{name}.md")]
    serve = next(place for place, line in enumerate(found) if line.startswith("ippo serve"))
    for line in found[:serve]:
        _run(line, folder)
    with _served(f"{found[serve]} --port {port}", port, folder):
        for line in found[serve + 1 :]:
            _run(line, folder)
    pictures = sorted(folder.glob("*.png"))
    assert len(pictures) == 2 and all(Image.open(picture).size == (16, 16) for picture in pictures)
    assert _pixels(pictures[0]) == _pixels(pictures[1])  # the same prompt and seed, by hand and over HTTP
    student = load(folder / "runs" / name / "student" / "model")
    assert student.is_student and student.schedule.prediction_type == "v_prediction"
    assert load(folder / BASE).schedule.prediction_type == "epsilon"


def _run(line: str, folder: Path) -> None:
    done = subprocess.run(["bash", "-euc", line], cwd=folder, env=environment(folder), capture_output=True, text=True)
    assert done.returncode == 0, f"{line}\n{done.stderr[-2000:]}"


@contextmanager
def _served(line: str, port: str, folder: Path) -> Iterator[None]:
    """The page's own command while it serves."""
    process = subprocess.Popen(
        ["bash", "-euc", f"exec {line}"], cwd=folder, env=environment(folder), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    ready = f"curl --fail --silent --retry 300 --retry-delay 1 --retry-all-errors localhost:{port}/readyz"
    try:
        _run(ready, folder)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def _free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def _pixels(file: Path) -> bytes:
    return Image.open(io.BytesIO(file.read_bytes())).convert("RGB").tobytes()
