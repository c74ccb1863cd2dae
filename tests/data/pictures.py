"""Folders of captioned pictures for the tests, and what was built of them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from data.cleaning_report import CleaningReport


def picture(seed: int, width: int = 24, height: int = 20) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def captioned(folder: Path, name: str, image: Image.Image | bytes, caption: str | None = "a picture") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(image, bytes):
        path.write_bytes(image)
    else:
        image.save(path)
    if caption is not None:
        path.with_suffix(".txt").write_text(caption, encoding="utf-8")
    return path


def plain(folder: Path, count: int) -> Path:
    for seed in range(count):
        captioned(folder, f"{seed:02d}.png", picture(seed), f"picture {seed}")
    return folder


def metadata(report: CleaningReport, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (report.folder / name / "metadata.jsonl").read_text().splitlines()]


def built(report: CleaningReport) -> dict[str, tuple[dict[str, object], np.ndarray]]:
    """What was built, by the file it was made of: its row and its pixels."""
    found = {}
    for name, count in report.rows.items():
        if count:
            for row in metadata(report, name):
                with Image.open(report.folder / name / str(row["file_name"])) as image:
                    assert image.mode == "RGB"
                    found[str(row["original"])] = (row, np.asarray(image))
    return found


def why(report: CleaningReport) -> dict[str, str]:
    return {entry.what: entry.why for entry in report.dropped}
