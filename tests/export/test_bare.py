"""An environment with onnxruntime, numpy and lazy_loader alone: what docs/embed.md promises of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from p5export.export import Exported

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
from p5export.runtime import OnnxRecommender
from p5core.errors import ExportError

model = OnnxRecommender(sys.argv[1])
popular = model.recommend([], 3)
print([one.item for one in popular], model.score([popular[0].item], [popular[1].item]).shape)
try:
    model.recommend([5.9])
except ExportError as error:
    print(error)
"""


def done(*command: object) -> str:
    found = subprocess.run([str(one) for one in command], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with P5's wheel, onnxruntime, numpy, lazy_loader, and what these need."""
    folder = tmp_path_factory.mktemp("bare")
    done(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    done(sys.executable, "-m", "venv", folder / "venv")
    pip = [folder / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    (wheel,) = folder.glob("*.whl")
    try:
        done(*pip, "onnxruntime", "numpy", "lazy-loader")
    except AssertionError as fault:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no packages can be had here: {fault}")
    done(*pip, "--no-deps", wheel)
    return folder / "venv" / "bin" / "python"


def test_an_export_is_used_and_verified_with_a_few_packages_alone(python: Path, exported: Exported) -> None:
    listed = done(python, "-m", "pip", "list", "--format=freeze").lower()
    assert not {"pluggy", "torch", "click", "pydantic", "pandas", "duckdb", "onnx"} & {
        line.partition("==")[0] for line in listed.splitlines()
    }
    said = done(python, "-c", PROGRAM, exported.folder).splitlines()
    assert said[0].endswith("(1,)")
    assert said[1] == "The ids of this model are texts; got 5.9."
    assert "24 golden cases give the same answers" in done(python, "-m", "p5export.validation.verify", exported.folder)
