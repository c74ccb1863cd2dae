"""The page in a real browser: it draws when it opens, redraws as one types, and asks nobody but its own server."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.latency.browser import Browser, executable
from runtime.manifest import MANIFEST
from serving.serve_config import ServeConfig
from tests.serving.conftest import launched, wait_until_ready

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not executable(), reason="no Chromium")]

PICTURE = "document.querySelector('#ippo-picture.drawn img')?.src"
PROMPT = "document.querySelector('#ippo-controls textarea')"
PAGE_WITHIN = 300


@pytest.fixture(scope="module")
def address(config: ServeConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("page") / "log"
    with log.open("w") as output, launched(config.model_copy(update={"page": True}), output.fileno()) as started:
        process, address = started
        wait_until_ready(address, process, log)
        _wait_for_page(address)
        yield address


def _wait_for_page(address: str) -> None:
    deadline = time.monotonic() + PAGE_WITHIN
    while httpx.get(f"{address}/ui/", timeout=PAGE_WITHIN).status_code == 503:
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "profile") as browser:
        yield browser


def test_root_leads_to_the_page(address: str) -> None:
    for path in ("", "/", "/ui", "/ui/"):
        answer = httpx.get(address + path, follow_redirects=True, timeout=PAGE_WITHIN)
        assert answer.status_code == 200 and answer.url.path == "/ui/"


def test_draws_on_opening_and_with_every_letter(browser: Browser, address: str) -> None:
    browser.call("Page.navigate", url=f"{address}/")
    shown = browser.until(PICTURE)
    browser.evaluate(f"{PROMPT}.focus()")
    pictures = {shown}
    for letter in "xyz":
        browser.type(letter)
        shown = browser.until(f"({PICTURE} !== '{shown}') && {PICTURE}")
        pictures.add(shown)
    assert len(pictures) == 4
    browser.until("document.querySelector('#ippo-picture a').download.endsWith('joyxyz-7.png')")
    assert "ms" in browser.evaluate("document.querySelector('#ippo-picture output').textContent")


def test_dice_and_variations_change_the_seed(browser: Browser, address: str) -> None:
    browser.call("Page.navigate", url=f"{address}/ui/")
    first = browser.until(PICTURE)
    count = browser.until("document.querySelectorAll('#ippo-variations img').length")
    assert count == 7
    browser.evaluate("document.querySelector('#ippo-variations button').click()")
    second = browser.until(f"({PICTURE} !== '{first}') && {PICTURE}")
    browser.until("document.querySelector('#ippo-picture a').download.endsWith('-8.png')")
    browser.evaluate("document.querySelector('#ippo-dice').click()")
    browser.until(f"{PICTURE} !== '{second}'")


def test_example_is_drawn_and_an_empty_prompt_says_so(browser: Browser, address: str) -> None:
    browser.call("Page.navigate", url=f"{address}/ui/")
    first = browser.until(PICTURE)
    browser.evaluate("[...document.querySelectorAll('#ippo-examples button')].at(1).click()")
    browser.until(f"{PICTURE} !== '{first}'")
    assert browser.until(f"{PROMPT}.value === 'red heart'")
    browser.evaluate(f"{PROMPT}.select()")
    browser.call("Input.insertText", text="")
    browser.evaluate(f"{PROMPT}.value = ''; {PROMPT}.dispatchEvent(new Event('input', {{bubbles: true}}))")
    assert browser.until("document.querySelector('#ippo-picture output').textContent.includes('type something')")


def test_a_picture_to_start_from_and_back_to_noise(browser: Browser, address: str) -> None:
    browser.call("Page.navigate", url=f"{address}/ui/")
    first = browser.until(PICTURE)
    browser.evaluate(
        "new Promise(done => { const canvas = document.createElement('canvas');"
        " canvas.getContext('2d').fillRect(0, 0, 99, 99); canvas.toBlob(done); }).then(file => ippo.startFrom(file))"
    )
    second = browser.until(f"({PICTURE} !== '{first}') && {PICTURE}")
    browser.until("document.querySelector('#ippo-start.chosen img').naturalWidth === 16")
    browser.evaluate("document.querySelector('#ippo-start button').click()")
    browser.until(f"{PICTURE} !== '{second}' && !document.querySelector('#ippo-start.chosen')")


def test_two_models_draw_side_by_side_for_who_has_the_key(browser: Browser, tiny_bundle: Path, tmp_path: Path) -> None:
    models = {"one": tiny_bundle, "two": tiny_bundle}
    served = ServeConfig.model_validate({"models": models, "backend": "ort", "threads": 1, "api_keys": "the-only-key"})
    log = tmp_path / "log"
    with log.open("w") as output, launched(served, output.fileno()) as (process, both):
        wait_until_ready(both, process, log)
        _wait_for_page(both)
        assert httpx.post(f"{both}/ui/gradio_api/upload", files={"files": b"x"}).status_code == 405
        browser.call("Page.addScriptToEvaluateOnNewDocument", source="window.prompt = () => 'the-only-key'")
        browser.call("Page.navigate", url=f"{both}/ui/")
        browser.until("document.querySelectorAll('.ippo-picture.drawn').length === 2")
        names = browser.evaluate("[...document.querySelectorAll('.ippo-picture b')].map(b => b.textContent).join()")
        assert names == "one,two"


def test_after_an_exchange_the_page_shows_the_new_model(browser: Browser, tiny_bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_bundle, other)
    manifest = json.loads((other / MANIFEST).read_text())
    (other / MANIFEST).write_text(json.dumps({**manifest, "model_name": "another"}))
    served = ServeConfig.model_validate(
        {"bundle": tiny_bundle, "backend": "ort", "threads": 1, "admin_key": "the-admin-key"}
    )
    log = tmp_path / "log"
    with log.open("w") as output, launched(served, output.fileno()) as (process, address):
        wait_until_ready(address, process, log)
        _wait_for_page(address)
        asked = {"json": {"bundle": str(other)}, "headers": {"authorization": "Bearer the-admin-key"}}
        assert httpx.post(f"{address}/admin/model", timeout=PAGE_WITHIN, **asked).status_code == 200
        browser.call("Page.navigate", url=f"{address}/ui/")
        browser.until(PICTURE)
        assert browser.evaluate("document.querySelector('#ippo-title b').textContent") == "another"
        assert browser.evaluate("document.querySelector('.ippo-picture').dataset.model") == "another"


def test_asks_nobody_but_its_server(browser: Browser, address: str) -> None:
    browser.call("Page.navigate", url=f"{address}/ui/")
    browser.until("document.querySelectorAll('#ippo-variations img').length")
    assert browser.requests
    assert [url for url in browser.requests if not url.startswith((address, "data:", "blob:", "about:"))] == []


def test_attributes_are_picked_weighted_and_drawn(browser: Browser, attribute_bundle: Path, tmp_path: Path) -> None:
    served = ServeConfig(bundle=attribute_bundle, backend="ort", threads=1)
    log = tmp_path / "log"
    with log.open("w") as output, launched(served, output.fileno()) as (process, composed):
        wait_until_ready(composed, process, log)
        _wait_for_page(composed)
        browser.call("Page.navigate", url=f"{composed}/ui/")
        first = browser.until(PICTURE)
        slot = "document.querySelectorAll('.ippo-slot')[{}].querySelector('{}')"
        chosen, hat, weight = slot.format(0, "select"), slot.format(1, "select"), slot.format(1, "input")
        assert browser.evaluate("document.querySelectorAll('.ippo-slot').length") == 3
        assert browser.evaluate(f"{chosen}.value") == "Man", "the pickers show the first example"
        browser.evaluate(f"{hat}.value = 'Fez'; {hat}.dispatchEvent(new Event('change'))")
        second = browser.until(f"({PICTURE} !== '{first}') && {PICTURE}")
        browser.evaluate(f"{weight}.value = 2.5; {weight}.dispatchEvent(new Event('input'))")
        browser.until(f"({PICTURE} !== '{second}') && {PICTURE}")
        browser.until("document.querySelector('#ippo-picture img').alt.includes('Fez=2.5')")
        assert browser.evaluate(f"{slot.format(1, 'output')}.textContent") == "2.5"
        browser.evaluate("document.querySelectorAll('#ippo-examples button')[1].click()")
        browser.until(f"{chosen}.value === 'Ape' && {weight}.value === '1'")


def test_labels_are_chosen_and_drawn(browser: Browser, pixel_bundle: Path, tmp_path: Path) -> None:
    served = ServeConfig(bundle=pixel_bundle, backend="ort", threads=1)
    log = tmp_path / "log"
    with log.open("w") as output, launched(served, output.fileno()) as (process, labels):
        wait_until_ready(labels, process, log)
        _wait_for_page(labels)
        browser.call("Page.navigate", url=f"{labels}/ui/")
        first = browser.until(PICTURE)
        assert browser.evaluate("document.querySelectorAll('#ippo-label input').length") == 4
        assert not browser.evaluate(f"{PROMPT}")
        browser.evaluate("[...document.querySelectorAll('#ippo-label input')].at(2).click()")
        browser.until(f"({PICTURE} !== '{first}') && {PICTURE}")
        browser.until("document.querySelector('#ippo-picture a').download.endsWith('blue-7.png')")
