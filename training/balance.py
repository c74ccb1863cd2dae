"""How often each sample of a set is seen, so that what is rarely shown is learnt as well; it knows no network.

Every sample counts by the rarest name that it shows: with a balance of 1 every name is seen as often as any other at least.
Repeating by the rarest of several categories is LVIS's repeat factor sampling (arXiv 1908.03195, appendix B.2: balance 0.5).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

FEWEST = 8
"""Names of fewer samples are not repeated any more often: a single picture would be learnt by heart."""


def shares(rows: Sequence[Collection[Hashable]], balance: float) -> NDArray[np.float64] | None:
    """How often each of the rows, given by the names that it shows, is drawn: `(N,)`, in all 1; None: all alike."""
    counts = Counter(name for row in rows for name in set(row))
    rarest = np.array([min((counts[name] for name in row), default=len(rows)) for row in rows], np.float64)
    weights = np.maximum(rarest, FEWEST) ** -balance  # (N,)
    return None if np.ptp(weights) == 0 else weights / weights.sum()
