"""A versatile bundle in a browser: what the server draws of pictures and says of them, and the page's four places."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.latency.browser import Browser, executable
from benchmarks.latency.site_page import first_picture, until
from benchmarks.latency.site_server import StaticSite, static_site
from export.site_description import describe
from export.write_site import PACKAGES, missing, write_site
from models.labels import Wish
from runtime import backend as backends
from runtime.bundle import Bundle, open_bundle
from runtime.captioner import CaptionGenerator
from runtime.generator import Generator, Request
from tests import tiny

pytestmark = pytest.mark.slow  # ten graphs are exported

in_a_browser = pytest.mark.skipif(
    not executable() or missing(PACKAGES) is not None,
    reason="no Chromium, or no onnxruntime-web: make web-test brings it",
)
LEVELS = 3
"""Of 255, between a browser's kernels and the server's."""
ASK = """
new Promise(async (done) => {
  const site = await (await fetch("site.json")).json();
  const model = new Worker("worker.js", { type: "module" });
  const bytes = (text) => text && Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const { seed, seeds, picture, pictures, ...request } = REQUEST;
  const pixels = pictures && Object.fromEntries(Object.entries(pictures).map(([zone, text]) => [zone, bytes(text)]));
  model.onmessage = ({ data }) => {
    if (data.kind === "failed") done({ line: data.line });
    if (data.kind === "said") done(data.texts);
    if (data.kind === "drawn") done(btoa(String.fromCharCode(...new Uint8Array(data.file))));
  };
  model.postMessage({ kind: "open", site, provider: "wasm" });
  const given = { picture: bytes(picture), pictures: pixels, seed: BigInt(seed ?? 0), seeds: seeds?.map(BigInt) };
  model.postMessage({ number: 1, ...request, ...given });
})
"""


KEPT = """
const made = URL.createObjectURL;
window.kept = {};
URL.createObjectURL = (blob) => {
  const url = made.call(URL, blob);
  kept[url] = blob;
  return url;
};
"""
"""Files behind the page's pictures, which its own policy lets nobody fetch."""


@pytest.fixture(scope="module")
def bundle(versatile_bundle: Path) -> Bundle:
    return open_bundle(versatile_bundle)


@pytest.fixture(scope="module")
def server(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StaticSite]:
    folder = tmp_path_factory.mktemp("site") / "site"
    write_site(bundle, folder)
    with static_site(folder) as server:
        yield server


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "profile") as browser:
        yield browser


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def sent(image: np.ndarray) -> str:
    return base64.b64encode(image.tobytes()).decode()


def test_a_site_says_what_pictures_and_captions_there_are(bundle: Bundle) -> None:
    site = describe(bundle)
    assert site.pictures is not None and site.captions is not None and not site.required
    assert site.pictures.zones == ("content", "style") and site.pictures.size == (16, 16)
    assert site.captions.columns == tiny.COLUMNS and site.captions.graph.path == "caption.onnx"
    needed = {file.path for file in site.graphs["one_step"].data}
    written = {file.path for file in site.captions.graph.data}
    assert not any(name.startswith(("text_unet", "columns")) for name in needed), "a first picture waits for no writer"
    assert any(name.startswith("text_unet") for name in written) and written | needed <= set(site.paths())
    assert "image_encoder/model.onnx" in site.paths()


def ask(browser: Browser, server: StaticSite, **request: Any) -> Any:
    if browser.evaluate("location.href") != f"{server.address}site.json":
        browser.call("Page.navigate", url=f"{server.address}site.json")
        until(browser, f"location.href === '{server.address}site.json'")
    return browser.evaluate(ASK.replace("REQUEST", json.dumps(request)))


@in_a_browser
def test_it_draws_and_says_what_the_server_does(bundle: Bundle, server: StaticSite, browser: Browser) -> None:
    generator, captioner = Generator(bundle, backends.load("ort", bundle)), CaptionGenerator(bundle, "ort")
    base = {"kind": "draw", "size": [16, 16], "seed": "7"}
    wishes = [
        (Wish("cat"), {"text": "cat"}),
        (Wish(content=picture(0), style=picture(0)), {"text": "", "pictures": {"content": 0, "style": 0}, "mix": None}),
        (
            Wish("a dog", picture(0), picture(1), 0.3),
            {"text": "a dog", "pictures": {"content": 0, "style": 1}, "mix": 0.3},
        ),
    ]
    for steps in (1, 2):
        for wish, request in wishes:
            pictures: Any = request.get("pictures")
            given = (
                {**request, "pictures": {zone: sent(picture(seed)) for zone, seed in pictures.items()}}
                if pictures
                else request
            )
            file = ask(browser, server, **base, steps=steps, **given)
            assert isinstance(file, str), file
            found = np.asarray(Image.open(io.BytesIO(base64.b64decode(file))).convert("RGB")).astype(int)
            expected = generator.generate([Request(wish, 7)], steps)[0]
            assert np.abs(found - expected).max() <= LEVELS, (steps, wish)
    for column in ("", "text_fr", "any"):
        texts = ask(browser, server, kind="say", picture=sent(picture(2)), column=column, seeds=["3", "4"])
        expected_texts = [one.text or "(nothing)" for one in captioner.caption([picture(2)] * 2, [3, 4], column)]
        assert texts == list(dict.fromkeys(expected_texts))
    alone = ask(browser, server, **base, steps=1, text="", pictures={"style": sent(picture(0))}, mix=None)
    assert alone["line"].startswith("a style alone says nothing to draw")


@in_a_browser
def test_the_page_has_four_places(server: StaticSite, browser: Browser) -> None:
    browser.call("Page.addScriptToEvaluateOnNewDocument", source=KEPT)
    first_picture(browser, f"{server.address}#draw=cat&seed=5")
    names = "[...document.querySelectorAll('#places nav button')].map(({ textContent }) => textContent).join()"
    assert browser.evaluate(names) == "Type,Vary,Mix,Say"
    status = "document.querySelector('#status').textContent"
    browser.evaluate("document.querySelector('#places [data-place=vary]').click()")
    until(browser, f"{status} === 'drop a picture on content'")
    before = browser.evaluate("document.querySelector('#picture').src")
    browser.evaluate("document.querySelector('.zone[data-zone=content] button').click()")
    until(browser, f"document.querySelector('#picture').src !== '{before}' && {status}.startsWith('drawn in')")
    file = "kept[document.querySelector('#picture').src].text()"
    told = r"/content\0([0-9a-f]{16})[^]*style\0\1/"
    assert browser.evaluate(f"{file}.then((text) => {told}.test(text))"), "which picture it was drawn from"
    browser.evaluate("document.querySelector('#places [data-place=say]').click()")
    until(browser, "document.querySelector('.says output').textContent.length > 1")
    until(browser, f"{status}.startsWith('said in')")
    assert not browser.evaluate("document.querySelector('#prompt').checkVisibility()")
    browser.evaluate("document.querySelector('#places [data-place=mix]').click()")
    until(browser, f"{status}.startsWith('drawn in')")
    assert browser.evaluate("document.querySelector('.mix').checkVisibility()")
    mixed = browser.evaluate("document.querySelector('#picture').src")
    browser.evaluate("document.querySelector('.zone[data-zone=style] button').click()")  # what is drawn
    until(browser, f"document.querySelector('#picture').src !== '{mixed}' && {status}.startsWith('drawn in')")
    assert browser.evaluate(f"{file}.then((text) => text.includes('style\\0'))")
    browser.evaluate("document.querySelector('[aria-label=\"Empty style\"]').click()")
    until(browser, f"{file}.then((text) => !text.includes('style\\0'))")
    assert not browser.evaluate("document.querySelector('[aria-label=\"Empty style\"]').checkVisibility()")
    assert all(url.startswith((server.address, "blob:", "about:")) for url in browser.requests)
