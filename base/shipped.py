"""Where the models that ship lie, from whatever folder ippo is started; it knows nothing about what a model is."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds the packages: the checkout, or a bento's source folder."""
PRETRAINED = ROOT / "models" / "pretrained"
"""A folder a model, each with `student` and `teacher`."""
SHIPPED_BUNDLE = PRETRAINED / "emoji" / "student"
"""The bundle that is served and drawn with where nobody names one."""
SHIPPED_TEACHER = SHIPPED_BUNDLE.with_name("teacher")
