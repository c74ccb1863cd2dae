"""Bundles side by side, on the shipped digits."""

from pathlib import Path

import pytest

from benchmarks.latency import bundles
from runtime.bundle import open_bundle

SHIPPED = Path("models/pretrained/digits/student")


def test_rows_compare_every_bundle_with_the_first_at_the_same_batch() -> None:
    pair, batches = [open_bundle(SHIPPED)] * 2, [1, 2]
    rows = bundles.table(pair, batches, bundles.measure(pair, batches, rounds=1, seconds=0.0))
    assert [row["batch"] for row in rows] == [1, 2, 1, 2]
    assert [row["times as fast"] for row in rows[:2]] == [1.0, 1.0]
    for first, second in zip(rows[:2], rows[2:], strict=True):
        assert second["times as fast"] == pytest.approx(first["ms"] / second["ms"])
    assert 1 < rows[0]["MB"] < 4
    assert len(bundles.markdown(rows).strip().splitlines()) == 4 + 2 + 4
