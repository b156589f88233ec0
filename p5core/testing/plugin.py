"""The pytest plugin: `p5_registry`, `p5_case` and the marker `p5_parts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from p5core.plugins.registry import Registry

__all__ = ["p5_registry", "pytest_configure", "pytest_generate_tests"]


def pytest_configure(config: pytest.Config) -> None:
    """Explain the marker."""
    config.addinivalue_line(
        "markers",
        "p5_parts(kind=None, name=None, distribution=None): parts that a test of `p5_case` runs for; all without it",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `p5_case` once for each check of each chosen part."""
    if "p5_case" not in metafunc.fixturenames:
        return
    from p5core.plugins.discovery import load_plugins
    from p5core.testing.conformance import cases

    marker = metafunc.definition.get_closest_marker("p5_parts")
    chosen = cases(load_plugins(), **(marker.kwargs if marker else {}))
    metafunc.parametrize("p5_case", chosen, ids=str)


@pytest.fixture(scope="session")
def p5_registry() -> Registry:
    """All installed parts."""
    from p5core.plugins.discovery import load_plugins

    return load_plugins()
