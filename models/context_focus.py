"""Style apart from content in CLIP's tokens of one picture, by principal components; it knows no network and needs no torch.

The way of Versatile Diffusion (arXiv 2211.08332, section 4.4 and its own demo), training free: of the local tokens, the few
leading components carry style, the rest content. Shapes: `P` tokens of a picture, the class token first, `D` width.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from base.errors import BadInput

NEUTRAL = 0.5
"""The focus that leaves tokens as they are."""
COMPONENTS = 20
"""Principal components that are told apart; what is beyond is the rest."""
STYLE = 5
"""So many leading ones stay whole when style is wanted."""
CONTENT = 2
"""So many leading ones are damped when content is wanted."""


def focused(tokens: NDArray[np.float32], focus: float) -> NDArray[np.float32]:
    """Tokens `(P, D)` with their content (0) or their style (1) brought out; ½ leaves them as they are.

    The class token is untouched; the spread of the others is restored. BadInput: a focus outside of 0 to 1, or tokens of
    another shape.
    """
    if not 0 <= focus <= 1:  # NaN is out of range too
        raise BadInput(f"focus {focus} is out of range; accepted: 0 (content) to 1 (style)")
    if tokens.ndim != 2 or len(tokens) < 2 or not np.isfinite(tokens).all():
        raise BadInput(f"tokens must be PxD finite numbers, got {list(tokens.shape)}")
    if focus == NEUTRAL:
        return tokens
    local = tokens[1:].astype(np.float64)
    middle = local.mean(axis=1, keepdims=True)  # of each token, as published
    left, values, right = np.linalg.svd(local - middle, full_matrices=False)
    weights = component_weights(len(values), focus)
    changed = (left * (values * weights)) @ right + middle
    changed *= local.std() / max(float(changed.std()), 1e-12)
    return np.concatenate([tokens[:1], changed.astype(tokens.dtype)])


def component_weights(count: int, focus: float) -> NDArray[np.float64]:
    """What each of `count` components is multiplied by, the leading ones first: `(count,)`.

    Towards content the first two fade, the very first before the second; towards style those from the sixth on, the last
    before the others, and the rest beyond the twentieth is gone at once.
    """
    weights, places = np.ones(count), np.arange(count)
    strength = math.exp(2 * focus - 1)
    if focus < 0.5:
        lowest = _between(strength, math.exp(-1), 1 - CONTENT, 1.0)
        faded = lowest + places / CONTENT * (1 - lowest)
        weights[:CONTENT] = np.clip(faded, 0, None)[:CONTENT]
    else:
        last = COMPONENTS - 1
        lowest = _between(strength, math.e, STYLE - COMPONENTS, 1.0)
        faded = lowest + (places - last) / (STYLE - 1 - last) * (1 - lowest)
        weights[STYLE:] = np.clip(faded, 0, None)[STYLE:]
        weights[COMPONENTS:] = 0
    return weights


def _between(strength: float, end: float, at_end: float, in_the_middle: float) -> float:
    """A straight line in e^(2·focus − 1), which is 1 in the middle."""
    return (strength - end) / (1 - end) * (in_the_middle - at_end) + at_end
