"""What goes wrong on a machine, in one line that says what to change; it knows nothing about what was running."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from base.errors import BadInput
from training.run import sharding
from training.run.device import on_cpu
from training.run.loop_config import LoopConfig

LESS = (
    "lower loop.batch, or keep it and raise loop.accumulate; loop.checkpointing=true, loop.precision=bf16, "
    "loop.frozen=bf16 and a lora need less; --dry-run says how much"
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_machine(loop: LoopConfig) -> None:
    """BadInput, before anything loads: what this machine or its launcher cannot do."""
    if loop.precision == "fp16" and on_cpu():
        raise BadInput("loop.precision=fp16 needs a GPU; accepted on a CPU: auto, no, bf16")
    sharding.check(loop.precision)
    parts = int(os.environ.get("WORLD_SIZE", "1")) * loop.accumulate
    if loop.batch % parts:  # means over parts of several sizes are not the batch's mean, and one of no sample has none
        raise BadInput(
            f"loop.batch={loop.batch} is not shared out evenly among processes; accepted here: a multiple of {parts}, the "
            "processes times loop.accumulate"
        )


@contextmanager
def in_one_line(run: Path) -> Iterator[None]:
    """Memory or disk that is used up as BadInput, in one line."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _memory(error):
            raise
        raise BadInput(f"{run.name}: out of memory; {LESS}") from error
    except (OSError, SafetensorError) as error:
        if not _disk(error):
            raise
        raise BadInput(
            f"{run.name}: no room left on the disk of {run}; the last checkpoint is whole: make room and run the same "
            "command again (raising loop.checkpoint_minutes does not help: two checkpoints must fit beside each other)"
        ) from error


def _memory(error: BaseException) -> bool:
    message = str(error).lower()
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in message


def _disk(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    return any(f"os error {number})" in str(error) for number in _FULL)
