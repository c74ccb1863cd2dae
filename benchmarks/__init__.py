"""Measures; nothing here is deployed."""

import base.environment  # noqa: F401
