"""Whether the tensors that a file holds are those of a network, by name and shape; it knows no file format and no family."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence

from base.errors import BadInput

Shapes = Mapping[str, tuple[int, ...]]
_NAMED = 3
"""Tensors that a message names."""
_UNUSED = re.compile(r"(^|\.)(position_ids|logit_scale|attn_mask)$|^(vision_model|visual_projection|text_projection)\.")
"""What released text encoders hold beside their weights, and the rest of a whole CLIP."""


def check_names(where: str, held: Shapes, expected: Shapes, network: str) -> None:
    """BadInput, with count and names: tensors of `network` that are missing, or of another size. Surplus ones are told.

    A tensor `(D, D)` may be stored as a convolution `(D, D, 1, 1)` and the other way round.
    """
    missing = [name for name in expected if name not in held]
    surplus = [name for name in held if name not in expected and not _UNUSED.search(name)]
    if missing:
        others = f"; it holds {listed(surplus)} instead" if surplus else ": fetch it again"
        raise BadInput(
            f"{where} lacks {len(missing)} of {len(expected)} tensors of the {network}: {listed(missing)}{others}"
        )
    odd = [name for name in expected if _sides(held[name]) != _sides(expected[name])]
    if odd:
        first = odd[0]
        raise BadInput(
            f"{where} does not fit the {network}: {first} is {held[first]} there and {expected[first]} here "
            f"({len(odd)} of {len(expected)} tensors are of another size)"
        )
    if surplus:
        warnings.warn(
            f"{where}: {len(surplus)} tensors are not the {network}'s and are left out: {listed(surplus)}", stacklevel=2
        )


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:2] if shape[2:] == (1, 1) else shape
