"""The head of a `.safetensors` file: names and shapes of its tensors, and whether the file is whole; it knows no network.

The head says how long the file is (github.com/huggingface/safetensors, "Format"), so that a download that was cut short
is known by its size, before anything is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from base.errors import BadInput
from base.pointers import refuse_pointer

SUFFIX = ".safetensors"
_LENGTH = 8
"""Bytes that say how long the head is."""
_LONGEST = 100_000_000
"""Bytes of the longest head that the format allows."""


@dataclass(frozen=True)
class FileHead:
    """What a file holds."""

    shapes: Mapping[str, tuple[int, ...]]
    """Tensor → shape."""
    metadata: Mapping[str, str]
    precisions: frozenset[str]
    """Of its tensors, as the format writes them: `F32`, `BF16`, …"""
    spans: Mapping[str, tuple[int, int]]
    """Tensor → where it lies: offset and length in bytes, from the start of the file."""

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def numbers(self) -> int:
        """Numbers in all its tensors."""
        return sum(prod(shape) for shape in self.shapes.values())


def read_head(file: Path) -> FileHead:
    """The head of a file.

    BadInput: it is missing, only points at its content, is no safetensors file, or is shorter or longer than its head says.
    """
    refuse_pointer(file)
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH), "little")
        whole = _LENGTH + length
        if length > _LONGEST or size < _LENGTH:
            raise BadInput(f"{file} is no whole safetensors file: its first bytes are those of something else")
        if size < whole:
            raise _cut(file, size, whole)
        content = stream.read(length)
    try:
        entries: dict[str, Any] = json.loads(content)
        metadata = entries.pop("__metadata__", {})
        shapes = {name: tuple(entry["shape"]) for name, entry in entries.items()}
        precisions = frozenset(str(entry["dtype"]) for entry in entries.values())
        ends = {name: (int(entry["data_offsets"][0]), int(entry["data_offsets"][1])) for name, entry in entries.items()}
        spans = {name: (whole + start, end - start) for name, (start, end) in ends.items()}
        whole += max((end for _, end in ends.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise BadInput(f"{file} is no whole safetensors file: its head is damaged") from None
    if size < whole:
        raise _cut(file, size, whole)
    if size > whole:
        raise BadInput(f"{file} is no whole safetensors file: it has {size:,} bytes, its head names {whole:,}")
    return FileHead(shapes, metadata, precisions, spans)


def check_folder(folder: Path) -> None:
    """BadInput: a `.safetensors` file right in this folder is not whole, as `read_head` says."""
    for file in sorted(folder.glob(f"*{SUFFIX}")):
        read_head(file)


def _cut(file: Path, size: int, whole: int) -> BadInput:
    return BadInput(
        f"{file} is no whole safetensors file: {size:,} of {whole:,} bytes are here, so it was cut short: fetch it again"
    )
