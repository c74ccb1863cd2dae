"""The slider between content and style: its ends, its middle, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import BadInput
from models.context_focus import COMPONENTS, component_weights, focused


def tokens(count: int = 257, width: int = 48) -> np.ndarray:
    """A few strong directions over many weak ones."""
    rng = np.random.default_rng(0)
    strong = rng.standard_normal((count, 30)) * np.geomspace(30, 0.3, 30)
    return (strong @ rng.standard_normal((30, width)) / width).astype(np.float32)


def test_the_middle_is_nothing_and_the_ends_are_opposite() -> None:
    whole = tokens()
    assert focused(whole, 0.5) is whole
    content, style = component_weights(40, 0.0), component_weights(40, 1.0)
    assert content[:2].tolist() == [0, 0] and (content[2:] == 1).all()
    assert (style[:5] == 1).all() and (style[6:] == 0).all() and 0 <= style[5] < 0.1
    halfway = component_weights(40, 0.75)
    assert (
        (halfway[:5] == 1).all() and (np.diff(halfway[4:COMPONENTS]) <= 0).all() and (halfway[COMPONENTS:] == 0).all()
    )


@given(st.floats(0, 1))
def test_class_token_and_spread_stay_whatever_is_wanted(focus: float) -> None:
    whole = tokens(65)
    changed = focused(whole, focus)
    assert np.array_equal(changed[0], whole[0]) and changed.shape == whole.shape and changed.dtype == np.float32
    assert abs(changed[1:].std() / whole[1:].std() - 1) < 1e-3


def test_style_keeps_what_leads_and_content_what_does_not() -> None:
    whole = tokens()
    style, content = focused(whole, 1.0)[1:], focused(whole, 0.0)[1:]
    local = whole[1:] - whole[1:].mean(axis=1, keepdims=True)
    left, values, right = np.linalg.svd(local, full_matrices=False)
    leading = (left[:, :2] * values[:2]) @ right[:2]
    shares = [float((one * leading).sum() / np.linalg.norm(one) / np.linalg.norm(leading)) for one in (style, content)]
    assert shares[0] > 0.7 > 0.1 > abs(shares[1])


@pytest.mark.parametrize("focus", [-0.1, 1.1, float("nan")])
def test_a_focus_out_of_range_is_one_line(focus: float) -> None:
    with pytest.raises(BadInput, match=r"focus .* is out of range; accepted: 0 \(content\) to 1 \(style\)"):
        focused(tokens(9), focus)


def test_what_are_no_tokens_is_one_line() -> None:
    with pytest.raises(BadInput, match=r"tokens must be PxD finite numbers, got \[3\]"):
        focused(np.zeros(3, np.float32), 0.2)
