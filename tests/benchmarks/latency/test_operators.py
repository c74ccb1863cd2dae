"""The profile of operators: every one that runs is timed and has a kind, and products are counted as torch counts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.latency import operators
from benchmarks.latency.flops import gigaflops
from models import folder
from runtime.bundle import open_bundle


@pytest.fixture(scope="module")
def profiled(tiny_bundle: Path) -> operators.Profile:
    return operators.profile(open_bundle(tiny_bundle), batch=2, rounds=1, calls=2, threads=1)


def test_every_operator_has_a_kind(profiled: operators.Profile) -> None:
    kinds = {one.kind for one in profiled.operators}
    assert {*operators.PRODUCTS[:2], operators.ELEMENTWISE} <= kinds <= {*operators.KINDS, operators.ELEMENTWISE}
    assert all(one.milliseconds >= 0 for one in profiled.operators) and profiled.clock > 0
    assert profiled.share(profiled.operators) == pytest.approx(1)


def test_products_do_the_work_that_torch_counts(profiled: operators.Profile, tiny_bundle: Path) -> None:
    """But for attention, which is not counted, and for what the exporter left out: it may be less, and never more."""
    whole = 2 * sum(gigaflops(folder.load(tiny_bundle)).values())
    counted = sum(one.gigaflop for one in profiled.operators)
    assert 0.5 * whole < counted < 1.01 * whole


def test_the_page_lists_kinds_and_products(profiled: operators.Profile) -> None:
    page = operators.result([profiled], {}, rate=1.0)
    kinds, products = page.sheets
    assert [row[0] for row in kinds.rows][-2:] == ["all operators", "a call by the clock"]
    assert sum(int(row[1]) for row in products.rows) == sum(bool(one.what) for one in profiled.operators)
    assert any(row[0].startswith("3 × 3 convolution, ") for row in products.rows)
