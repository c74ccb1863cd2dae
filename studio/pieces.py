"""Pieces of the page as HTML: progress, curves, picture grids, tables; it knows nothing of where they stand."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from base.runs import runs_root
from evaluation.pages.chart import Points, chart
from evaluation.pages.gif import encode_gif
from studio.jobs import Progress

PICTURES = "/picture"
"""Where the pictures below IPPO_RUNS are served."""
FRAME_MS, LAST_MS = 120, 1600
"""Milliseconds for which a GIF shows a frame, and its last one."""
SMALLEST = 256
"""Pixels of a GIF's side: smaller pictures are enlarged."""
THUMBNAILS = 12
"""Small pictures in a row, at most about so many."""


def trouble(message: str) -> str:
    """HTML of an error in one line."""
    return f'<p class="studio-trouble" role="alert">{escape(message)}</p>'


def hint(text: str, command: str = "") -> str:
    """HTML that says what to do where there is nothing to show, with a command to type."""
    return f'<p class="studio-hint">{escape(text)}{f" <code>{escape(command)}</code>" if command else ""}</p>'


def title(text: str) -> str:
    """HTML of a heading."""
    return f"<h3>{escape(text)}</h3>"


def card(progress: Progress) -> str:
    """HTML that says how far a run is: state, bar, rate, time left."""
    share = min(1.0, progress.step / progress.steps) if progress.steps else 0.0
    facts = [f"step {progress.step:,} of {progress.steps:,}" if progress.steps else f"step {progress.step:,}"]
    if progress.rate and progress.state == "running":
        facts += [_rate(progress.rate), *([] if progress.left is None else [f"{duration(progress.left)} left"])]
    shown = "preparing" if progress.state == "running" and not progress.step else progress.state
    line = f'<div class="studio-line">{escape(progress.line)}</div>' if progress.state == "failed" else ""
    return (
        f'<div class="studio-card {progress.state}" data-state="{progress.state}" data-step="{progress.step}">'
        f"<div><b>{escape(progress.name)}</b><span>{shown}</span></div>"
        f'<div class="studio-bar"><i style="width: {100 * share:.1f}%"></i></div>'
        f"<div>{' · '.join(facts)}</div>{line}</div>"
    )


def duration(seconds: float) -> str:
    """Seconds as a person reads them: `2 h 05 min`, `3 min 20 s`, `40 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def charts(curves: Mapping[str, Mapping[str, Points]]) -> str:
    """Charts of curves by metric and run, as HTML: what chooses the model first, then the totals, then the rest."""
    figures = "".join(
        f"<figure>{svg}</figure>" for name in sorted(curves, key=_order) if (svg := chart(name, curves[name]))
    )
    return f'<div class="studio-charts">{figures}</div>'


def samples(files: Sequence[Path]) -> str:
    """HTML of the latest sample grid, and of earlier ones that replace it when they are clicked."""
    if not files:
        return hint("No sample grid yet: it is drawn at the first validation.")
    step = max(1, -(-len(files) // THUMBNAILS))
    chosen = files[::-1][::step][::-1]
    large = chosen[-1]
    swap = "const f = this.closest('.studio-samples'); f.querySelector('.large').src = this.src;"
    caption = "f.querySelector('figcaption').textContent = this.title;"
    thumbs = "".join(f'<img src="{url(file)}" title="{_step(file)}" onclick="{swap} {caption}">' for file in chosen)
    return (
        f'<div class="studio-samples"><figure><img class="large" src="{url(large)}" alt="">'
        f"<figcaption>{_step(large)}</figcaption></figure><div>{thumbs}</div></div>"
    )


def gallery(files: Sequence[Path | bytes], captions: Sequence[str]) -> str:
    """HTML of pictures of a set with their captions."""
    shown = "".join(
        f'<figure><img src="{url(file)}" loading="lazy" alt=""><figcaption>{escape(text)}</figcaption></figure>'
        for file, text in zip(files, captions, strict=True)
        if isinstance(file, Path)
    )
    return f'<div class="studio-gallery">{shown}</div>'


def bars(counts: Mapping[str, int]) -> str:
    """HTML of label counts as bars."""
    most = max(counts.values(), default=1)
    rows = "".join(
        f'<span title="{escape(name)}">{escape(name)}</span><i style="width: {100 * count / most:.1f}%"></i><b>{count:,}</b>'
        for name, count in counts.items()
    )
    return f'<div class="studio-bars">{rows}</div>'


def drawing(name: str, images: NDArray[np.uint8], description: str) -> str:
    """HTML of the images `(N, H, W, 3)` of one model in a row, under its name and `description`."""
    shown = "".join(f'<img src="{data_uri(image)}" alt="">' for image in images)
    return (
        f'<figure class="studio-row"><figcaption><b>{escape(name)}</b><output>{escape(description)}</output></figcaption>'
        f'<div style="--count: {len(images)}">{shown}</div></figure>'
    )


def film(name: str, seen: Sequence[NDArray[np.uint8]], expected: Sequence[NDArray[np.uint8]]) -> str:
    """HTML of a denoising, one image `(H, W, 3)` a step: what the model saw above what it expected, and both as a GIF."""
    step = max(1, -(-len(seen) // THUMBNAILS))
    indices = [*range(0, len(seen) - 1, step), len(seen) - 1]
    rows = [
        f'<div style="--count: {len(indices)}">'
        + "".join(f'<img src="{data_uri(frames[index])}" alt="" title="step {index + 1}">' for index in indices)
        + "</div>"
        for frames in (seen, expected)
    ]
    moving = f"data:image/gif;base64,{base64.b64encode(gif(seen, expected)).decode()}"
    link = f'<a href="{moving}" download="{escape(name.replace("/", "-"))}.gif">Save as GIF</a>'
    return (
        f'<figure class="studio-film"><figcaption><b>{escape(name)}</b>'
        f"<output>{len(seen)} step{'s'[: len(seen) > 1]}: what it sees, above what it expects</output>{link}</figcaption>"
        f'<div class="studio-reel"><img class="moving" src="{moving}" alt=""><div>{"".join(rows)}</div></div></figure>'
    )


def gif(seen: Sequence[NDArray[np.uint8]], expected: Sequence[NDArray[np.uint8]]) -> bytes:
    """Pairs of images `(H, W, 3)` side by side as an animated GIF that rests at its end."""
    frames = [Image.fromarray(np.concatenate(pair, axis=1)) for pair in zip(seen, expected, strict=True)]
    scale = -(-SMALLEST // frames[0].height)
    large = [frame.resize((frame.width * scale, frame.height * scale), Image.Resampling.NEAREST) for frame in frames]
    return encode_gif(large, FRAME_MS, LAST_MS)


def data_uri(image: NDArray[np.uint8]) -> str:
    """An image `(H, W, 3)` as a PNG in a `data:` address."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def url(file: Path) -> str:
    """The address of a picture below IPPO_RUNS, a new one whenever it is written again; `""` for one that lies elsewhere."""
    root = runs_root().absolute()
    if not file.absolute().is_relative_to(root) or not file.is_file():
        return ""
    return f"{PICTURES}/{quote(file.absolute().relative_to(root).as_posix())}?{file.stat().st_mtime_ns}"


def _order(metric: str) -> tuple[bool, bool, str]:
    return metric != "validation/score", not metric.endswith("/total"), metric


def _rate(rate: float) -> str:
    return f"{rate:.3g} steps/s" if rate >= 1 else f"{1 / rate:.3g} s/step"


def _step(file: Path) -> str:
    return f"step {int(file.stem):,}" if file.stem.isdigit() else file.stem
