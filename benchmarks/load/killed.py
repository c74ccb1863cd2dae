"""Bulk generation killed twice and run again, beside one that ran through: every image once, the same bytes.

python -m benchmarks.load.killed BUNDLE [--images 1000]        (make killed)

It knows nothing of how shards are written.
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

from base.command import run
from benchmarks.load.served import IPPO
from models.task import task_of
from runtime.bundle import open_bundle

SHARES = (0.25, 0.6)
"""Of the shards that are there when it is killed."""


def killed(bundle: Path, images: int, folder: Path, *options: str) -> dict[str, int | bool]:
    """How many images there are in the end, and whether their bytes are those of a run that nobody killed."""
    prompts, shard = folder / "prompts.txt", max(1, images // 32)
    task = task_of(open_bundle(bundle).manifest)
    texts = [text for text in map(task.text, task.examples(2 * images)) if text]  # an empty line is no prompt
    prompts.write_text("\n".join(texts[:images]))
    command = [sys.executable, str(IPPO), "bulk", str(prompts), "--bundle", str(bundle)]
    command += ["--shard", str(shard), *options, "--out"]
    kills = [_kill([*command, str(folder / "out")], folder / "out", int(share * images / shard)) for share in SHARES]
    for name in ("whole", "out"):
        subprocess.run([*command, str(folder / name)], check=True, capture_output=True)
    whole, resumed = _files(folder / "whole"), _files(folder / "out")
    count = sum(name.endswith(".png") for name in resumed)
    return {"images": count, "requested": images, "killed": sum(kills), "same": whole == resumed}


def _kill(command: list[str], out: Path, shards: int) -> bool:
    """Kill it as soon as there are so many shards; whether it was still at work."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list(out.glob("shard-*"))) < shards:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL


def _files(out: Path) -> dict[str, bytes]:
    return {str(file.relative_to(out)): file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}


def main(bundle: Path, images: Annotated[int, typer.Option(help="Prompts.")] = 1000) -> None:
    """Kill it twice and compare; the last line is JSON, and the exit code says whether all is well."""
    with tempfile.TemporaryDirectory() as folder:
        figures = killed(bundle, images, Path(folder))
    print(json.dumps(figures))
    sys.exit(not (figures["same"] and figures["images"] == images))


if __name__ == "__main__":
    run(main)
