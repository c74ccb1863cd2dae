"""Nested mappings by dotted keys: nothing is lost, an empty mapping is not the same as nothing."""

from __future__ import annotations

from base.dotted import dotted


def test_every_value_has_its_dotted_key_and_an_empty_mapping_is_one() -> None:
    nested = {"run": "a", "loop": {"steps": 4, "of": {"deep": None}}, "reduce": {}, "sizes": [1, 2]}
    assert dotted(nested) == {"run": "a", "loop.steps": 4, "loop.of.deep": None, "reduce": {}, "sizes": [1, 2]}
    assert dotted({"reduce": {"mid_block_type": None}}) != dotted({"reduce": {}})
