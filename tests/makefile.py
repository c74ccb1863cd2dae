"""What the Makefile's targets run, as words; it runs nothing."""

from __future__ import annotations

import re
import shlex

from base.shipped import ROOT


def steps(target: str) -> list[list[str]]:
    """The `ippo` commands of a target's loop, words of each."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    short = re.search(r"^VERSATILE = (.*)$", makefile, re.MULTILINE)
    assert short is not None
    body = (
        makefile.partition(f"\n{target}:")[2]
        .partition("; do")[0]
        .replace("\\\n", " ")
        .replace("$(VERSATILE)", short[1])
    )
    return [shlex.split(" ".join(step.split())) for step in re.findall(r'"([^"]*)"', body)]
