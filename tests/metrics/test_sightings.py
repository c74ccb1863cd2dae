"""What is seen name by name: shares, their mean, and what is said of names that are not seen."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.sightings import Sightings


def test_a_name_is_missed_only_beyond_two_standard_errors() -> None:
    seen = Sightings({"Mole": 2, "Spots": 12, "Fez": 40, "Cap": 400}, {"Mole": 0, "Spots": 1, "Fez": 17, "Cap": 170})
    assert seen.missed(0.5) == ["Spots", "Cap"]
    assert seen.described(["Spots"]) == "Spots 1 of 12"
    assert seen.share == pytest.approx(188 / 454) and seen.mean == pytest.approx((0 + 1 / 12 + 17 / 40 + 170 / 400) / 4)


def test_a_judge_is_described_by_its_names() -> None:
    seen = Sightings({"Mole": 12, "Cap": 40, "Fez": 4}, {"Mole": 0, "Cap": 40, "Fez": 1})
    assert seen.lines() == [
        "the mean over 3 names is 0.417 (0.732 over all that is shown)",
        "seen least on real images: Mole 0 of 12, Fez 1 of 4",
        "it does not see in real images: Mole 0 of 12; its figures say nothing about them",
    ]
    assert Sightings({"Cap": 2}, {"Cap": 2}).lines() == [
        "the mean over 1 names is 1.000 (1.000 over all that is shown)"
    ]
    assert np.isnan(Sightings({}, {}).mean)
