"""Other ways by which a source draws what is asked for by pictures: in words, by components, redrawn; it opens nothing.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evaluation.transfers.asked_by_pictures import AskedByPictures
from evaluation.transfers.edits import AskedEdit, by_hand
from evaluation.transfers.source_transfers import SourceTransfers
from metrics.features import Images
from metrics.judge_network import Judge
from models.labels import Input

Principal = Callable[[Images, Images], list[Input]]
"""Pictures `(N, H, W, 3)` of things and of styles → the same wishes, style told apart by principal components."""
WORDS, PRINCIPAL, REDRAWN = "in words", "principal components", "caption and redraw"
"""Other ways to the same pictures: their captions, the paper's way to tell style apart, caption and redraw."""


@dataclass(frozen=True)
class Rivals:
    """Other ways to the same pictures, which the same source draws; None where the flows at hand have no such way."""

    principal: Principal | None = None
    """Style transfer by principal components."""
    caption: Callable[[Images], list[str]] | None = None
    """Pictures `(N, H, W, 3)` → captions that name all of them: edits by writing, changing the words and drawing anew."""


def drawn_by_rivals(
    judge: Judge, draw: Callable[[Sequence[Input], str], Images], moved: AskedByPictures | None,
    edited: Mapping[str, AskedEdit], rivals: Rivals,
) -> dict[str, SourceTransfers]:  # fmt: skip
    """The way's name → what the source draws by it; `draw` takes N wishes and what to call them, and gives `(N, H, W, 3)`."""
    transferred = by_components = None
    if moved is not None:
        transferred = moved, draw(moved.right.captions, WORDS)
        if rivals.principal is not None:
            by_components = moved, draw(rivals.principal(moved.content, moved.style), PRINCIPAL)
    named = {kind: (edit, draw(edit.right.captions, WORDS)) for kind, edit in edited.items()}
    found = {WORDS: SourceTransfers(judge, transfer=transferred, edited=named)}
    if by_components is not None:
        found[PRINCIPAL] = SourceTransfers(judge, transfer=by_components)
    if rivals.caption is not None and edited:
        rewritten = {kind: by_hand(rivals.caption(edit.given.images), kind, edit) for kind, edit in edited.items()}
        redrawn = {kind: (edited[kind], draw(texts, REDRAWN)) for kind, texts in rewritten.items()}
        found[REDRAWN] = SourceTransfers(judge, edited=redrawn)
    return found
