"""Watch-dogs of adversarial distillation: figures of a run in plain words, with what to turn; it measures nothing.

What only one term can turn is watched in that term's file."""

from __future__ import annotations

from collections.abc import Mapping

COLLAPSED = 0.6
"""Least spread over seeds at one input ÷ the teacher's."""
SILENT = 0.05
"""Least share of a term in the student's gradient."""
MEMORISED = 0.8
"""Least distance to the nearest training image ÷ that of held-out images."""


def warnings(figures: Mapping[str, float]) -> list[str]:
    """One line for everything that looks wrong; figures that are not there are not judged."""
    lines = []
    if (spread := figures.get("watch/spread", 1.0)) < COLLAPSED:
        others = [name.removeprefix("share/") for name in figures if name.startswith("share/")]
        lower = " or ".join(f"{name}.weight" for name in others if name != "regression")
        lines.append(
            f"samples of one input spread {spread:.2f} times the teacher's (collapse below {COLLAPSED}): raise regression"
            + (f", or lower {lower}" if lower else "")
        )
    if (near := figures.get("watch/nearest", 1.0)) < MEMORISED:
        lines.append(
            f"samples lie {near:.2f} times as near to training images as held-out images do: fewer steps, or more data"
        )
    for name, share in figures.items():
        if name.startswith("share/") and share < SILENT:
            term = name.removeprefix("share/")
            lines.append(
                f"the term {term} makes {share:.0%} of the student's gradient: raise its weight or leave it out"
            )
    return lines
