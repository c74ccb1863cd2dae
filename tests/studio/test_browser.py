"""The studio in a real browser: a training is started from the page, seen moving, stopped, resumed, and drawn with."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from base.shipped import ROOT
from benchmarks.latency import studio_lag as timing
from benchmarks.latency.browser import Browser, executable
from benchmarks.load.served import started

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not executable(), reason="no Chromium")]

WITHIN = 600
CARD = "document.querySelector('#train-status .studio-card')"


@pytest.fixture
def address(home: Path) -> Iterator[str]:
    """`ippo studio`, started as people start it."""
    with started("studio", ready="/", environment={"OMP_NUM_THREADS": "1"}, folder=home) as server:
        yield server.address


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "profile") as browser:
        yield browser


def test_a_training_from_the_page_to_a_picture(browser: Browser, address: str, runs: Path) -> None:
    browser.call("Page.navigate", url=address)
    until(browser, "document.querySelectorAll('#data-gallery img').length === 24")
    tab(browser, "Train")
    choose(browser, "train-config", "tiny/teacher.yaml")
    until(browser, "Boolean(document.querySelector('#train-start'))")
    write(browser, "field-loop-steps", "1.5")
    until(browser, "document.querySelector('#train-command .studio-trouble')?.textContent.includes('loop.steps')")
    write(browser, "field-loop-steps", "100000")
    until(browser, "document.querySelector('#train-command pre')?.textContent.includes('loop.steps=100000')")
    click(browser, "train-start")
    until(browser, f"{CARD}?.dataset.state === 'running' && {CARD}.dataset.step > 20")
    tab(browser, "Monitor")
    before = until(browser, timing.CURVE)
    until(browser, f"({timing.CURVE}) !== '{before}'")
    tab(browser, "Train")
    click(browser, "train-stop")
    step = int(until(browser, f"{CARD}.dataset.state === 'stopped' && {CARD}.dataset.step"))
    click(browser, "train-resume")
    until(browser, f"{CARD}.dataset.state === 'running' && {CARD}.dataset.step > {step}")
    click(browser, "train-stop")
    until(browser, f"{CARD}.dataset.state === 'stopped'")
    tab(browser, "Generate")
    until(browser, "Boolean(document.querySelector('#generate-draw'))")
    click(browser, "generate-draw")
    until(browser, "document.querySelectorAll('#generate-canvas .studio-row img').length === 4")
    click(browser, "generate-steps")
    until(browser, "document.querySelector('#generate-reel a[download$=gif]')?.href.startsWith('data:image/gif')")
    shutil.rmtree(runs / "tiny")
    tab(browser, "Monitor")
    gone = until(browser, "document.querySelector('#monitor-status .studio-trouble')?.textContent")
    assert gone.startswith("the run 'tiny/teacher' is gone")
    assert all(url.startswith((address, "data:", "blob:", "about:")) for url in browser.requests)


def test_the_studio_is_timed_in_a_browser(capsys: pytest.CaptureFixture[str]) -> None:
    timing.main(starts=1, lines=2)
    bars = json.loads(capsys.readouterr().out.splitlines()[-1])["bars"]
    assert [bar["what"] for bar in bars] == ["first page, median s", "curve lag, median s"]
    assert all(0 < bar["value"] < WITHIN for bar in bars)


def test_no_other_file_is_served_and_none_is_taken(address: str, home: Path, runs: Path) -> None:
    (home / "secret.png").write_bytes((runs / "data/squares/train/000.png").read_bytes())
    assert httpx.get(f"{address}/picture/data/squares/train/000.png").status_code == 200
    for path in (
        "/picture/../secret.png",
        "/picture/%2e%2e/secret.png",
        f"/picture/{home}/secret.png",
        "/picture/x.yaml",
    ):
        assert httpx.get(f"{address}{path}").status_code == 404
    for file in (home / "secret.png", home / "configs/tiny/teacher.yaml", ROOT / "ippo.py", "/etc/passwd"):
        assert httpx.get(f"{address}/gradio_api/file={file}").status_code in (403, 404)
    assert httpx.post(f"{address}/gradio_api/upload", files={"files": b"x"}).status_code == 405
    assert httpx.get(address, headers={"host": "elsewhere.example"}).status_code == 400
    foreign = {"origin": "http://elsewhere.example"}
    assert httpx.post(f"{address}/gradio_api/queue/join", headers=foreign, json={"data": []}).status_code == 403


def until(browser: Browser, expression: str) -> Any:
    """The first truthy value of an expression; the browser waits a moment between two looks."""
    deadline = time.monotonic() + WITHIN
    while not (value := browser.evaluate(f"new Promise(done => setTimeout(() => done({expression}), 100))")):
        assert time.monotonic() < deadline, expression
    return value


def click(browser: Browser, name: str) -> None:
    """A button, once it may be pressed."""
    until(browser, f"document.querySelector('#{name}')?.disabled === false")
    browser.evaluate(f"document.querySelector('#{name}').click()")


def tab(browser: Browser, name: str) -> None:
    browser.evaluate(
        f"[...document.querySelectorAll('[role=tab]')].find(t => t.textContent.trim() === '{name}').click()"
    )


def choose(browser: Browser, name: str, option: str) -> None:
    """An option of a drop-down list, which the page puts beside everything else once the field has the focus."""
    found = f"[...document.querySelectorAll('[role=option]')].find(o => o.ariaLabel === '{option}')"
    until(browser, f"(document.querySelector('#{name} input').focus(), Boolean({found}))")
    browser.evaluate(f"{found}.dispatchEvent(new MouseEvent('mousedown', {{bubbles: true}}))")


def write(browser: Browser, name: str, text: str) -> None:
    """A value into a field."""
    browser.evaluate(
        f"(field => {{ field.value = '{text}'; field.dispatchEvent(new Event('input', {{bubbles: true}})); }})"
        f"(document.querySelector('#{name} input'))"
    )
