"""*Type · Vary · Mix · Say*: on the page of a bundle that takes pictures and writes, and on no other's; then in a browser."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from benchmarks.latency.browser import Browser, executable
from runtime.bundle import open_bundle
from serving import page
from serving.serve_config import ServeConfig
from tests.serving.conftest import launched, wait_until_ready
from tests.serving.test_page import _wait_for_page
from tests.versatile_bundle import write_versatile

PICTURE = "document.querySelector('#ippo-picture.drawn img')?.src"
ZONE = "document.querySelector('.ippo-zone[data-zone=\"{}\"] img')"
STATUS = "document.querySelector('#ippo-picture output').textContent"
CLICK = "document.querySelector('#ippo-places nav [data-place=\"{}\"]').click()"


def html(blocks: object) -> str:
    parts = io.StringIO()
    for part in blocks.config["components"]:  # type: ignore[attr-defined]
        parts.write(str(part["props"].get("value")))
    return parts.getvalue()


def test_places_are_those_of_the_flows(tmp_path: Path) -> None:
    manifest = open_bundle(write_versatile(tmp_path / "both")).manifest
    shown = html(page.layout(manifest))
    for place, tab in (("type", "Type"), ("vary", "Vary"), ("mix", "Mix"), ("say", "Say")):
        pressed = str(place == "type").lower()
        assert f'data-place="{place}" aria-pressed="{pressed}" onclick="ippo.go(this.dataset.place)">{tab}<' in shown
    for name in ("Empty style", "style: what is drawn now"):
        assert f'aria-label="{name}"' in shown
    assert "No examples: this model does not say which captions it learnt from." in shown
    known = html(page.layout(manifest.model_copy(update={"captions": ("an owl, blob",)})))
    assert "an owl, blob" in known and "No examples" not in known
    assert shown.count('class="ippo-zone"') == 2 and "<option>text_fr</option>" in shown
    assert 'data-width="16" data-height="16" data-varied="content style"' in shown
    local = html(page.layout(manifest.model_copy(update={"local_tokens": True})))
    assert 'aria-label="focus"' in local and 'aria-label="focus"' not in shown
    mute = html(page.layout(manifest.model_copy(update={"flows": {}})))
    assert '<button data-place="mix"' in mute and '<button data-place="say"' not in mute
    plain = manifest.model_copy(update={"task": "text-to-image", "flows": {}})
    assert "ippo-places" not in html(page.layout(plain)) and "ippo-zone" not in html(page.layout(plain))


@pytest.mark.slow
@pytest.mark.skipif(not executable(), reason="no Chromium")
def test_a_drawn_picture_is_varied_mixed_and_said(tmp_path: Path) -> None:
    served = ServeConfig(bundle=write_versatile(tmp_path / "both"), backend="eager", threads=1)
    log = tmp_path / "log"
    with log.open("w") as output, launched(served, output.fileno()) as (process, address):
        wait_until_ready(address, process, log)
        _wait_for_page(address)
        with Browser(tmp_path / "profile") as browser:
            browser.call("Page.navigate", url=f"{address}/ui/")
            browser.until("typeof ippo !== 'undefined' && ippo.easels && document.querySelector('#ippo-text textarea')")
            assert browser.evaluate(STATUS) == "type something to draw"
            browser.evaluate("ippo.write(document.querySelector('#ippo-text textarea'), 'cat')")
            typed = browser.until(PICTURE)
            boxes = "[...document.querySelectorAll('#ippo-places nav button')].map((b) => b.offsetHeight + ' ' + b.offsetTop)"
            assert len(set(browser.evaluate(boxes))) == 1
            # The drawn picture is dropped on the zone for content, which opens the mix.
            content = ZONE.format("content")
            browser.evaluate(
                "const drag = (type, node, transfer) => node.dispatchEvent("
                "new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: transfer }));"
                "const transfer = new DataTransfer();"
                "drag('dragstart', document.querySelector('#ippo-picture img'), transfer);"
                f"drag('dragenter', {content}, transfer); drag('drop', {content}, transfer);"
            )
            mixed = browser.until(f"({PICTURE} !== '{typed}') && {PICTURE}")
            browser.until(f"{content}.src.startsWith('data:image/png')")
            assert browser.evaluate("ippo.places.dataset.place") == "mix"
            slider = "document.querySelector('#ippo-mix input')"
            browser.evaluate(f"{slider}.value = 0; {slider}.dispatchEvent(new Event('input'))")
            pictures_alone = browser.until(f"({PICTURE} !== '{mixed}') && {PICTURE}")
            browser.evaluate(CLICK.format("vary"))
            pressed = "[...document.querySelectorAll('#ippo-places [aria-pressed=true]')].map((tab) => tab.textContent).join()"
            assert browser.evaluate(pressed) == "Vary"
            chooser = "document.querySelector('.ippo-zone input')"  # what is not shown takes no keys
            assert browser.evaluate(f"{chooser}.focus(); document.activeElement === {chooser}")
            browser.until(f"({PICTURE} !== '{pictures_alone}') && {PICTURE}")
            browser.until("document.querySelector('#ippo-picture img').alt === 'variation'")
            browser.evaluate(CLICK.format("say"))
            said = "document.querySelector('#ippo-says output').textContent"
            browser.until(f"{said} && {said} !== '…'")
            assert "error" not in browser.evaluate(said) and not browser.evaluate(
                "document.querySelector('.ippo-picture.failed')"
            )
            assert browser.evaluate("document.querySelector('#ippo-picture').classList.contains('stale')")
            full = "document.querySelector('.ippo-zone').classList.contains('full')"
            browser.evaluate("ippo.take('content', new File(['words'], 'a.txt'))")
            browser.until("document.querySelector('.ippo-zone output').textContent.startsWith('a.txt is no picture')")
            assert browser.evaluate(full)
            browser.evaluate("document.querySelector('.ippo-empty').click()")
            browser.until(f"!{full} && {said} === 'drop a picture on content'")
            browser.evaluate(CLICK.format("type"))
            browser.until("document.querySelector('#ippo-picture img').alt !== 'variation'")
            assert [url for url in browser.requests if not url.startswith((address, "data:", "blob:", "about:"))] == []
