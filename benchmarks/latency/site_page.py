"""The page of `ippo web` in a real browser beside its bars: bytes, first pictures, a picture's time, and how like the server's.

python -m benchmarks.latency.site_page BUNDLE [--draws 60 --starts 3 --images 50]        (make bench-web)
"""

from __future__ import annotations

import base64
import io
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from base.command import run
from benchmarks.latency.browser import Browser
from benchmarks.latency.site_server import StaticSite, static_site
from evaluation.result import Bar, bars_result, publish
from export.write_site import write_site
from models.labels import Input
from models.task import task_of
from runtime import backend as backends
from runtime.backend import BackendOptions
from runtime.bundle import Bundle, open_bundle
from runtime.generator import Generator, Request

WITHIN = 90.0
"""Seconds that anything on the page may take."""
DRAWN = "document.body?.classList.contains('drawn') && document.querySelector('#status').textContent"
BROKEN = "document.body?.classList.contains('broken') && document.querySelector('#status').textContent"
DRIVER = """
window.site ??= fetch("site.json").then((answer) => answer.json());
window.opened ??= window.site.then((site) => {
  window.model = new Worker("worker.js", { type: "module" });
  window.answers = [];
  window.waiting = null;
  window.model.onmessage = ({ data }) => ["drawn", "failed"].includes(data.kind) && window.waiting(data);
  window.model.postMessage({ kind: "open", site, provider: PROVIDER });
});
window.drawOne = (request) => window.opened.then(() => new Promise((done) => {
  window.waiting = async ({ line, took, file }) => done(line ? { line } : { took, file: await text(file) });
  const image = request.image && Uint8Array.from(atob(request.image), (letter) => letter.charCodeAt(0));
  window.model.postMessage({ kind: "draw", number: 1, ...request, seed: BigInt(request.seed), image });
}));
function text(bytes) {
  return btoa(Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join(""));
}
"""
"""The page's own worker, given requests one after the other."""


def main(
    folder: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder of the bundle.")],
    draws: Annotated[int, typer.Option(help="Pictures that are timed, after as many that are not.")] = 60,
    starts: Annotated[int, typer.Option(help="First visits, each with an empty cache.")] = 3,
    images: Annotated[int, typer.Option(help="Pictures that are compared.")] = 50,
) -> None:
    """Medians; what runs natively has one thread, as the page has."""
    bundle = open_bundle(folder)
    native = Generator(bundle, backends.load("ort", bundle, BackendOptions(threads=1, device="cpu")))
    requests = same_requests(bundle, images)
    with tempfile.TemporaryDirectory() as scratch:
        written = write_site(bundle, Path(scratch) / "site")
        visits = [visit(Path(scratch) / "site", Path(scratch) / f"profile-{number}") for number in range(starts)]
        with static_site(Path(scratch) / "site") as server, Browser(Path(scratch) / "drawing") as browser:
            pictures = [picture for picture, _ in drawn(browser, server, requests)]
            pairs = [_pair(browser, server, native, {**requests[0], "seed": str(seed)}) for seed in range(2 * draws)]
    took, beside = (sorted(times) for times in zip(*pairs[draws:], strict=True))
    worst = {name: largest_difference(pictures, servers(bundle, name, images)) for name in ("ort", "auto")}
    bars = [
        Bar("page and runtime over the wire, MB", (visits[0]["bytes"] - written.model) / 1e6, most=6),
        Bar("first picture, empty cache, s", statistics.median(one["cold"] for one in visits), most=6),
        Bar("first picture, kept, s", statistics.median(one["warm"] for one in visits), most=2),
        Bar("a picture in the browser, WASM, one thread, p50 ms", statistics.median(took), most=80),
        Bar("÷ ONNX Runtime on one thread", statistics.median(took) / statistics.median(beside), most=4),
        Bar(f"largest difference to the server's (ort) in {images} pictures, of 255", worst["ort"], most=3),
        Bar(f"to what it takes by itself here ({_what('auto', bundle)})", worst["auto"]),
    ]
    facts = {
        "bundle": bundle.manifest.model_name,
        "model, MB": f"{written.model / 1e6:.2f}",
        "browser": version(),
        "in the browser, ms": f"{took[0]:.0f} to {took[-1]:.0f}, N = {len(took)}",
        "ONNX Runtime, ms": f"{beside[0]:.0f} to {beside[-1]:.0f}, N = {len(beside)}",
    }
    publish(bars_result("The page that draws in the browser", bars, facts, {"visits": visits}), None)


def same_requests(bundle: Bundle, count: int, steps: int = 1) -> list[dict[str, Any]]:
    """Requests as the page's worker takes them: the task's examples, a seed each."""
    task, size = task_of(bundle.manifest), [*bundle.manifest.sizes[0]]
    texts = [text or "a" if task.required else text for text in (task.text(one) for one in _inputs(bundle, count))]
    return [{"text": text, "seed": str(seed), "steps": steps, "size": size} for seed, text in enumerate(texts)]


def servers(bundle: Bundle, backend: str, count: int, steps: int = 1) -> NDArray[np.uint8]:
    """The same requests drawn here, one by one as they come to a server: `(N, H, W, 3)`."""
    generator = Generator(bundle, backends.load(backend, bundle))
    made = [(one["text"], int(one["seed"])) for one in same_requests(bundle, count, steps)]
    return np.concatenate([generator.generate([Request(text, seed)], steps) for text, seed in made])


def drawn(
    browser: Browser, server: StaticSite, requests: Sequence[Mapping[str, Any]], provider: str = "wasm"
) -> list[tuple[bytes, float]]:
    """PNG and milliseconds of each request, drawn by the page's worker. RuntimeError: it refused one, with its line."""
    if browser.evaluate("location.href") != f"{server.address}site.json":
        browser.call("Page.navigate", url=f"{server.address}site.json")  # the site's origin, without its page
        until(browser, f"location.href === '{server.address}site.json'")
    browser.evaluate(DRIVER.replace("PROVIDER", json.dumps(provider)) + "; null")
    answers = [browser.evaluate(f"drawOne({json.dumps(request)})") for request in requests]
    if lines := [answer["line"] for answer in answers if "line" in answer]:
        raise RuntimeError(lines[0])
    return [(base64.b64decode(answer["file"]), answer["took"]) for answer in answers]


def visit(folder: Path, profile: Path) -> dict[str, float]:
    """A first visit and a second one: seconds to the first picture, and bytes that the first took in all."""
    with static_site(folder) as server, Browser(profile) as browser:
        cold = first_picture(browser, server.address)
        until(browser, "document.querySelector('#kept').textContent")
        size = sum(count for _, count in server.sent)
        browser.call("Page.navigate", url="about:blank")
        until(browser, "location.href === 'about:blank'")
        return {"cold": cold, "warm": first_picture(browser, server.address), "bytes": size}


def first_picture(browser: Browser, address: str) -> float:
    """Seconds from the address to the picture. RuntimeError: the page's line, where it gave up."""
    began = time.perf_counter()
    browser.call("Page.navigate", url=address)
    until(browser, f"({DRAWN}) || ({BROKEN})")
    took = time.perf_counter() - began
    if line := browser.evaluate(BROKEN):
        raise RuntimeError(line)
    return took


def until(browser: Browser, expression: str) -> Any:
    """The first truthy value of an expression; one whose page went away meanwhile is looked at again."""
    deadline = time.monotonic() + WITHIN
    while not (value := browser.evaluate(f"new Promise(done => setTimeout(() => done({expression}), 20))")):
        assert time.monotonic() < deadline, expression
    return value


def pixels(png: bytes) -> NDArray[np.uint8]:
    """A PNG's pixels `(H, W, 3)`."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def largest_difference(pictures: Sequence[bytes], expected: NDArray[np.uint8]) -> int:
    """Between PNGs and images `(N, H, W, 3)`, of 255."""
    return int(np.abs(np.stack([pixels(one) for one in pictures]).astype(int) - expected.astype(int)).max())


def version() -> str:
    """Of the browser."""
    with tempfile.TemporaryDirectory() as profile, Browser(Path(profile)) as browser:
        return str(browser.call("Browser.getVersion")["product"])


def _what(name: str, bundle: Bundle) -> str:
    """A backend and its precision."""
    backend = backends.load(name, bundle)
    return f"{backend.name} in {getattr(backend, 'precision', bundle.manifest.precision)}"


def _inputs(bundle: Bundle, count: int) -> list[Input]:
    return task_of(bundle.manifest).examples(count)


def _pair(browser: Browser, server: StaticSite, native: Generator, request: Mapping[str, Any]) -> tuple[float, float]:
    """Milliseconds of one picture in the browser, and of the same one here right after it: a busy machine slows both."""
    ((_, took),) = drawn(browser, server, [request])
    began = time.perf_counter()
    native.generate([Request(request["text"], int(request["seed"]))])
    return took, 1e3 * (time.perf_counter() - began)


if __name__ == "__main__":
    run(main)
