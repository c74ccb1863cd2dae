"""Bulk generation killed twice and run again, beside one that ran through: every image once, the same bytes.

python -m benchmarks.load.killed BUNDLE [--images 1000]        (make killed)
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.command import run
from models.task import task_of
from runtime.bundle import open_bundle

PLACES = (0.25, 0.6)
"""Share of the shards that are there when it is killed."""


def killed(bundle: Path, images: int, folder: Path, *options: str) -> dict[str, int | bool]:
    """How many images there are in the end, and whether their bytes are those of a run that nobody killed."""
    prompts, shard = folder / "prompts.txt", max(1, images // 32)
    task = task_of(open_bundle(bundle).manifest)
    texts = [text for text in map(task.text, task.examples(2 * images)) if text]  # an empty line is no prompt
    prompts.write_text("\n".join(texts[:images]))
    command = [sys.executable, "ippo.py", "bulk", str(prompts), "--bundle", str(bundle)]
    command += ["--shard", str(shard), *options, "--out"]
    subprocess.run([*command, str(folder / "whole")], check=True, capture_output=True)
    kills = [_kill([*command, str(folder / "out")], folder / "out", int(place * images / shard)) for place in PLACES]
    subprocess.run([*command, str(folder / "out")], check=True, capture_output=True)
    whole, resumed = _files(folder / "whole"), _files(folder / "out")
    pictures = [name for name in resumed if name.endswith(".png")]
    return {"images": len(pictures), "asked": images, "killed": sum(kills), "same": whole == resumed}


def _kill(command: list[str], out: Path, shards: int) -> bool:
    """Kill it as soon as there are so many shards; whether it was still at work."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list(out.glob("shard-*"))) < shards:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL


def _files(out: Path) -> dict[str, bytes]:
    return {str(file.relative_to(out)): file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}


def main(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    images: Annotated[int, typer.Option(help="Prompts.")] = 1000,
) -> None:
    """Kill it twice and compare; the last line is JSON, and the exit code says whether all is well."""
    with tempfile.TemporaryDirectory() as folder:
        found = killed(bundle, images, Path(folder))
    print(json.dumps(found))
    sys.exit(not (found["same"] and found["images"] == images))


if __name__ == "__main__":
    run(main)
