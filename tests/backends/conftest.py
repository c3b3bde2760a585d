"""The upstream whose answers never differ, as for whole runs."""

from __future__ import annotations

from tests.e2e.conftest import constant

__all__ = ["constant"]
