"""The conformance kit: checks of the contract of every kind of part.

With P5 installed, pytest knows the fixtures `p5_registry` and `p5_case`. A test that asks for `p5_case` runs once for
each check of each installed part; the marker `p5_parts` narrows that down:

    import pytest

    EXAMPLES = {("encoder", "wave"): {"columns": ["sound"]}}

    @pytest.mark.p5_parts(distribution="p5-wave")
    def test_my_parts(p5_registry, p5_case):
        p5_case.run(p5_registry, EXAMPLES.get(p5_case.part, {}))

Options must be given where a part has required ones, and for loaders that need to be told what to load. Without
pytest, `check_part(registry, "backbone", "wave")` runs all checks of a part. A fault is an AssertionError that says
what was promised and what happened instead.

Parts meet a small synthetic world: 60 items with the feature columns `genres` (texts such as "drama|war"), `tags`
(lists), `price` and `year` (numbers) and `sound` (lists of numbers), all with missing values, and 12 users with the
column `age`. Events have a `rating`, and the fields that a task reads or predicts: 0 or 1 for probabilities, ratings
for values. Bring your own `World` when an encoder needs other columns of the items.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p5core.testing.conformance import Case, cases, check_part
    from p5core.testing.world import World

__all__ = ["Case", "World", "cases", "check_part"]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: pytest loads this package in every run, whatever is tested."""
    if name not in __all__:
        raise AttributeError(f"module 'p5core.testing' has no attribute '{name}'")
    return getattr(import_module(f"p5core.testing.{'world' if name == 'World' else 'conformance'}"), name)
