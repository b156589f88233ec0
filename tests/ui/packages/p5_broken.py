"""A plugin whose own requirements are not installed."""

from __future__ import annotations

import no_such_module

__all__ = ["no_such_module"]
