"""Measures; nothing here is deployed."""

import models.environment  # noqa: F401
