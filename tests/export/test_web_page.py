"""The page in a real browser: the server's pictures, typed and clicked, kept and offline; and what goes wrong, in one line."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from base.shipped import PRETRAINED
from benchmarks.latency.browser import Browser, executable
from benchmarks.latency.site_page import (
    drawn,
    first_picture,
    largest_difference,
    pixels,
    same_requests,
    servers,
    until,
)
from benchmarks.latency.site_server import StaticSite, static_site
from export.write_bundle import ExportOptions, export
from export.write_site import PACKAGES, missing, write_site
from models.task import task_of
from runtime import backend as backends
from runtime.bundle import Bundle, open_bundle
from runtime.generator import Generator, Request
from runtime.images import encode
from runtime.provenance import Provenance

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not executable(), reason="no Chromium"),
    pytest.mark.skipif(missing(PACKAGES) is not None, reason="no onnxruntime-web: make web-test brings it"),
]

LEVELS = 3
"""Of 255, between a browser's kernels and the server's."""
NO_SIMD = "--js-flags=--no-enable-sse4-1 --no-enable-sse4-2 --no-enable-avx --no-enable-avx2"
SOFTWARE_GPU = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
STATUS = "document.querySelector('#status').textContent"
STRIP = "document.querySelectorAll('#strip img[src]').length === 7"


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sites of the models that ship."""
    folder = tmp_path_factory.mktemp("sites")
    for name in ("digits", "avatars", "emoji"):
        write_site(bundle(name), folder / name)
    return folder


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "profile") as browser:
        yield browser


@pytest.fixture
def server(sites: Path) -> Iterator[StaticSite]:
    """The digits, which are the quickest."""
    with static_site(sites / "digits") as server:
        yield server


def bundle(name: str) -> Bundle:
    return open_bundle(PRETRAINED / name / "student")


@pytest.mark.parametrize(("name", "count"), [("digits", 20), ("avatars", 20), ("emoji", 50)])
def test_the_same_seed_gives_the_servers_picture(name: str, count: int, sites: Path, browser: Browser) -> None:
    with static_site(sites / name) as server:
        for steps, images in ((1, count), (2, 3), (3, 2), (4, 3)):
            pictures = drawn(browser, server, same_requests(bundle(name), images, steps))
            expected = servers(bundle(name), "ort", images, steps)
            assert largest_difference([picture for picture, _ in pictures], expected) <= LEVELS, steps
            assert len({picture for picture, _ in pictures}) == images


def test_a_gpu_draws_the_same(tmp_path: Path) -> None:
    """WebGPU on the software GPU that Chromium brings; it has no fp16."""
    source = PRETRAINED / "digits" / "student"
    exported = export(str(source), tmp_path / "fp32", ExportOptions(precision="fp32"))
    write_site(exported, tmp_path / "site")
    with Browser(tmp_path / "profile", *SOFTWARE_GPU) as browser, static_site(tmp_path / "site") as server:
        pictures = drawn(browser, server, same_requests(exported, 5), "webgpu")
        assert largest_difference([picture for picture, _ in pictures], servers(exported, "ort", 5)) <= LEVELS
        first_picture(browser, server.address)
        until(browser, "document.querySelector('#runs').checkVisibility()")
        browser.evaluate("document.querySelector('#runs input[value=webgpu]').click()")
        until(browser, "document.body.classList.contains('ready')")
        until(browser, f"{STATUS}.startsWith('drawn in')")


@pytest.mark.parametrize("name", ["digits", "avatars", "emoji"])
def test_a_picture_to_start_from(name: str, sites: Path, browser: Browser) -> None:
    opened = bundle(name)
    generator = Generator(opened, backends.load("ort", opened))
    (width, height), chance = opened.manifest.sizes[0], np.random.default_rng(0)
    image = np.clip(chance.normal(128, 60, (height, width, 3)), 0, 255).astype(np.uint8)
    (request, *_) = same_requests(opened, 1)
    cases = [(1, 0.25), (2, 0.5), (1, 1.0), (4, 0.75)]
    asked = [{**request, "steps": steps, "strength": strength} for steps, strength in cases]
    given = [{**one, "image": base64.b64encode(image.tobytes()).decode()} for one in asked]
    with static_site(sites / name) as server:
        pictures = [picture for picture, _ in drawn(browser, server, given)]
    expected = [
        generator.generate([Request(request["text"], int(request["seed"]), image, strength)], steps)
        for steps, strength in cases
    ]
    assert largest_difference(pictures, np.concatenate(expected)) <= LEVELS


def test_a_download_says_what_the_servers_says(sites: Path, browser: Browser) -> None:
    request = {"text": "Zombie, Cap=2.0", "seed": str(2**63 - 1), "steps": 1, "size": [24, 24]}
    with static_site(sites / "avatars") as server:
        ((file, _),) = drawn(browser, server, [request])
    opened = bundle("avatars")
    text = task_of(opened.manifest).text(task_of(opened.manifest).parse(request["text"]))
    source = Provenance({"attributes": text}, 2**63 - 1, 1, opened.manifest.model_name, opened.hash)
    assert chunks(file) == chunks(encode(pixels(file), "png", source))


def chunks(file: bytes) -> dict[str, Any]:
    with Image.open(io.BytesIO(file)) as picture:
        picture.load()
        return dict(picture.text)  # type: ignore[attr-defined]


def test_a_person_types_and_clicks(sites: Path, browser: Browser) -> None:
    with static_site(sites / "emoji") as server:
        first_picture(browser, f"{server.address}#draw=red+heart&seed=5&steps=2")
        until(browser, STRIP)
        assert browser.evaluate("document.querySelector('#prompt').value") == "red heart"
        assert browser.evaluate("document.querySelector('#download').download") == "red-heart-5.png"
        before = browser.evaluate("document.querySelector('#picture').src")
        browser.evaluate("(document.querySelector('#prompt').focus(), document.querySelector('#prompt').select())")
        browser.type("a cat")
        until(browser, "document.querySelector('#download').download === 'a-cat-5.png'")
        assert browser.evaluate("document.querySelector('#picture').src") != before
        until(browser, "[...document.querySelectorAll('#strip img')].every(img => img.alt === 'a cat')")
        browser.evaluate("document.querySelector('#strip button:nth-child(3)').click()")
        until(browser, "document.querySelector('#download').download === 'a-cat-8.png'")
        assert browser.evaluate("location.hash") == "#draw=a+cat&seed=8&steps=2"
        browser.evaluate("document.querySelector('#dice').click()")
        until(browser, "!document.querySelector('#download').download.endsWith('-8.png')")
        browser.evaluate("(document.querySelector('#prompt').select())")
        browser.type(" ")
        until(browser, f"{STATUS} === 'type something to draw'")
        browser.evaluate("document.querySelectorAll('#examples button')[1].click()")
        until(browser, "document.querySelector('#picture').alt === 'red heart'")
        until(browser, STRIP)
        assert all(url.startswith((server.address, "blob:", "about:")) for url in browser.requests)


def test_an_address_that_asks_for_nothing_that_can_be_drawn(server: StaticSite, browser: Browser) -> None:
    for hash, told in (("#draw=3&seed=-1", "a seed is a whole number from 0"), ("#draw=12", "label '' is unknown")):
        browser.call("Page.navigate", url="about:blank")
        until(browser, "location.href === 'about:blank'")
        browser.call("Page.navigate", url=f"{server.address}{hash}")
        until(browser, "document.body?.classList.contains('ready')")
        until(browser, f"{STATUS}.startsWith({json.dumps(told)})")


def test_attributes_are_picked(sites: Path, browser: Browser) -> None:
    with static_site(sites / "avatars") as server:
        first_picture(browser, f"{server.address}#draw=Zombie,+Cap%3D2")
        picked = "[...document.querySelectorAll('.slot select')].map(({value}) => value).filter(Boolean).join()"
        assert browser.evaluate(picked) == "Zombie,Cap"
        browser.evaluate(
            "(weight => { weight.value = 0.5; weight.oninput(); })"
            "(document.querySelector('[aria-label=\"weight of type\"]'))"
        )
        until(browser, "document.querySelector('#picture').alt === 'Zombie=0.5, Cap=2'")
        browser.evaluate("document.querySelector('.pickers button').click()")
        until(browser, "document.querySelector('#picture').alt !== 'Zombie=0.5, Cap=2'")


def test_without_a_connection_and_on_a_phone(sites: Path, browser: Browser) -> None:
    metrics = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    browser.call("Emulation.setDeviceMetricsOverride", **metrics)
    with static_site(sites / "digits") as server:
        first_picture(browser, server.address)
        until(browser, "document.querySelector('#kept').textContent.startsWith('Kept in this browser')")
        until(browser, "navigator.serviceWorker.controller !== null")
        address = server.address
    browser.call("Page.navigate", url="about:blank")
    until(browser, "location.href === 'about:blank'")
    first_picture(browser, f"{address}#draw=3&steps=4&seed=1")  # the split graphs were kept as well
    assert browser.evaluate("document.querySelector('#picture').alt") == "3"
    assert browser.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_site_that_is_written_again_is_seen_at_the_next_visit_but_one(tmp_path: Path, browser: Browser) -> None:
    folder, long_ago = tmp_path / "site", 1_600_000_000
    write_site(bundle("digits"), folder)
    old = re.findall(r'"version": ("[^"]+")', (folder / "shell.js").read_text())[0]
    for file in folder.rglob("*"):
        os.utime(file, (long_ago, long_ago))  # what is old browsers take from their cache for as long again
    with static_site(folder) as server:
        assert titled(browser, server) == "digits"
        write_site(bundle("digits"), folder, "written again", overwrite=True)
        assert titled(browser, server) == "digits"
        until(
            browser,
            "caches.keys().then((names) => !names.some((name) => name.endsWith(VERSION)))".replace("VERSION", old),
        )
        assert titled(browser, server) == "written again"


def titled(browser: Browser, server: StaticSite) -> str:
    """The name on the page at another visit, all of which is kept."""
    browser.call("Page.navigate", url="about:blank")
    until(browser, "location.href === 'about:blank'")
    first_picture(browser, server.address)
    until(browser, "document.querySelector('#kept').textContent.startsWith('Kept in this browser')")
    return str(browser.evaluate("document.querySelector('#name').textContent"))


def broken(sites: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "broken"
    shutil.copytree(sites / "digits", folder)
    return folder


def line(folder: Path, browser: Browser) -> str:
    with static_site(folder) as server, pytest.raises(RuntimeError) as told:
        first_picture(browser, server.address)
    return str(told.value)


def test_a_site_that_is_incomplete(sites: Path, tmp_path: Path, browser: Browser) -> None:
    folder = broken(sites, tmp_path)
    (folder / "model/unet/diffusion_pytorch_model.safetensors").unlink()
    expected = "this site is incomplete: model/unet/diffusion_pytorch_model.safetensors is missing (404)"
    assert line(folder, browser).startswith(expected)
    (folder / "onnxruntime-web/ort-wasm-simd-threaded.js").unlink()
    assert line(folder, browser).startswith("this site is incomplete: onnxruntime-web/ort-wasm-simd-threaded.js cannot")
    (folder / "site.json").write_text("<!doctype html>")  # as hosts of one page answer for what is missing
    assert line(folder, browser).startswith("this site is incomplete: site.json is missing or altered")
    (folder / "site.json").unlink()
    assert line(folder, browser).startswith("this site is incomplete: site.json is missing or altered")


def test_a_page_that_cannot_be_kept_does_not_say_that_it_is(sites: Path, tmp_path: Path, browser: Browser) -> None:
    folder = broken(sites, tmp_path)
    (folder / "icon.svg").unlink()
    with static_site(folder) as server:
        first_picture(browser, server.address)
        until(
            browser,
            "document.querySelector('#kept').textContent.startsWith('The model is kept in this browser; the page')",
        )


def test_a_site_without_its_code(sites: Path, tmp_path: Path, browser: Browser) -> None:
    folder = broken(sites, tmp_path)
    (folder / "noise.js").unlink()
    assert line(folder, browser).startswith("this site is incomplete, or the browser is too old")


def test_a_site_that_was_altered(sites: Path, tmp_path: Path, browser: Browser) -> None:
    folder = broken(sites, tmp_path)
    weights = folder / "model/unet/diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    told = line(folder, browser)
    assert told.startswith("this site was altered: model/unet/diffusion_pytorch_model.safetensors is not the file")


def test_what_was_altered_in_the_cache_is_loaded_again(server: StaticSite, browser: Browser) -> None:
    first_picture(browser, server.address)
    until(browser, "document.querySelector('#kept').textContent")
    name = f"ippo-model {server.address}"
    spoilt = f"""caches.open({json.dumps(name)}).then(async (cache) => {{
      const keys = await cache.keys();
      for (const key of keys) await cache.put(key, new Response("other"));
      return keys.length;
    }})"""
    assert browser.evaluate(spoilt) > 5
    browser.call("Page.navigate", url="about:blank")
    until(browser, "location.href === 'about:blank'")
    sent = len(server.sent)
    first_picture(browser, server.address)
    assert len(server.sent) > sent


def test_a_browser_that_keeps_nothing(server: StaticSite, browser: Browser) -> None:
    browser.call("Storage.overrideQuotaForOrigin", origin=server.address.rstrip("/"), quotaSize=1000)
    first_picture(browser, server.address)
    until(browser, "document.querySelector('#kept').textContent")
    told = browser.evaluate("document.querySelector('#kept').textContent")
    assert told.startswith("The browser keeps nothing of this page (QuotaExceededError)")


def test_a_browser_without_simd(sites: Path, tmp_path: Path) -> None:
    with Browser(tmp_path / "profile", NO_SIMD) as browser:
        assert line(sites / "digits", browser).startswith("This browser has no WebAssembly SIMD")


def test_a_host_that_is_not_trusted(sites: Path, tmp_path: Path) -> None:
    rules = "--host-resolver-rules=MAP ippo.example 127.0.0.1"
    with (
        Browser(tmp_path / "profile", rules) as browser,
        static_site(sites / "digits") as server,
        pytest.raises(RuntimeError, match="This page wants https:// or localhost"),
    ):
        first_picture(browser, f"http://ippo.example:{server.server_port}/")
