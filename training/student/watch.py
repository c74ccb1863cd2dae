"""Watch-dogs of adversarial distillation: figures of a run in plain words, with what to turn; it measures nothing."""

from __future__ import annotations

from collections.abc import Mapping

SATURATED = 0.9
"""Share of reals ranked above fakes from which the student learns nothing more from the heads."""
BY_HEART = 0.15
"""How much surer the heads may be of training reals than of held-out ones."""
COLLAPSED = 0.6
"""Least spread over seeds at one input ÷ the teacher's."""
SILENT = 0.05
"""Least share of a term in the student's gradient."""
MEMORISED = 0.8
"""Least distance to the nearest training image ÷ that of held-out images."""


def warnings(figures: Mapping[str, float]) -> list[str]:
    """One line for everything that looks wrong; figures that are not there are not judged."""
    found = []
    known, new = figures.get("watch/accuracy", 0.5), figures.get("watch/accuracy-held-out", 0.5)
    if known > SATURATED:
        found.append(
            f"the discriminator ranks {known:.0%} of the reals above the fakes (saturated at {SATURATED:.0%}): lower "
            "adversarial.discriminator.rate, raise adversarial.gamma, or start from a longer warm-up"
        )
    if known - new > BY_HEART:
        found.append(
            f"the discriminator knows training reals ({known:.0%}) better than held-out ones ({new:.0%}): add "
            "adversarial.augment, set adversarial.reals to both, or raise adversarial.gamma"
        )
    if (spread := figures.get("watch/spread", 1.0)) < COLLAPSED:
        found.append(
            f"pictures of one prompt spread {spread:.2f} times the teacher's (collapse below {COLLAPSED}): raise "
            "regression, or lower adversarial.weight"
        )
    if (near := figures.get("watch/nearest", 1.0)) < MEMORISED:
        found.append(
            f"samples lie {near:.2f} times as near to training images as held-out images do: fewer steps, or more data"
        )
    for name, share in figures.items():
        if name.startswith("share/") and share < SILENT:
            term = name.removeprefix("share/")
            found.append(
                f"the term {term} makes {share:.0%} of the student's gradient: raise its weight or leave it out"
            )
    return found
