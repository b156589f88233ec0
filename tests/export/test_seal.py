"""p5.json is sealed: what was changed or damaged is told in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import pytest
from click.testing import CliRunner, Result

from p5core.cli import build
from p5core.errors import ExportError
from p5core.plugins.registry import load_plugins
from p5core.system.files import sha256
from p5export.bundle.bundle import seal
from p5export.runtime import OnnxRecommender
from p5export.validation.verify import verify


def p5(*arguments: object) -> Result:
    return CliRunner().invoke(build(load_plugins()), [str(one) for one in arguments])


def reseal(folder: Path) -> None:
    """What somebody would do who changes a file and its hash."""
    about = json.loads((folder / "p5.json").read_text())
    about["files"] = {name: sha256(folder / name) for name in about["files"] if (folder / name).exists()}
    (folder / "p5.json").write_text(json.dumps({**about, "seal": seal(about)}))


CHANGES = {
    "hr@10": lambda about: about["metrics"]["model"].update({"ndcg@10": 0.95}),
    "tolerance": lambda about: about["tolerance"].update(relative=1e9),
    "id_kind": lambda about: about.update(id_kind="int64"),
    "n_items": lambda about: about.update(n_items=1),
    "files": lambda about: about.update(files={}),
    "a file left out": lambda about: about["files"].pop("README.md"),
    "run": lambda about: about.update(run="another"),
    "a key more": lambda about: about.update(extra=1),
    "a key less": lambda about: about.pop("parity"),
    "no files": lambda about: about.pop("files"),
    "files of another type": lambda about: about.update(files=["model.onnx"]),
    "no inputs": lambda about: about.pop("inputs"),
    "no seal": lambda about: about.pop("seal"),
    "an empty seal": lambda about: about.update(seal=None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_p5_json_is_reported(change: str, histories: tuple[Path, Path], tmp_path: Path) -> None:
    folder = copytree(histories[1], tmp_path / "copy")
    about = json.loads((folder / "p5.json").read_text())
    CHANGES[change](about)
    (folder / "p5.json").write_text(json.dumps(about))
    result = p5("verify", folder)
    assert result.exit_code == 1
    assert "p5.json was changed after the export" in result.output or "the file is damaged" in result.output
    with pytest.raises(ExportError, match=r"p5\.json (was changed|cannot be read)"):
        OnnxRecommender(folder)


@pytest.mark.parametrize("content", ["{}", '{"format": 1}', '{"format": 2}', "[]", "null", "[" * 100_000, "\0", ""])
def test_a_damaged_p5_json_is_a_sentence(content: str, histories: tuple[Path, Path], tmp_path: Path) -> None:
    folder = copytree(histories[1], tmp_path / "copy")
    (folder / "p5.json").write_text(content)
    result = p5("verify", folder)
    assert (result.exit_code, "the file is damaged" in result.output) == (1, True)


def test_a_new_order_of_keys_and_other_spaces_change_nothing(histories: tuple[Path, Path], tmp_path: Path) -> None:
    folder = copytree(histories[1], tmp_path / "copy")
    about = json.loads((folder / "p5.json").read_text())
    (folder / "p5.json").write_text(json.dumps(dict(reversed(about.items()))))
    assert verify(folder).is_sealed


def test_an_export_of_the_first_format_opens_and_says_what_cannot_be_checked(
    histories: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = copytree(histories[1], tmp_path / "copy")
    about = json.loads((folder / "p5.json").read_text())
    (folder / "p5.json").write_text(json.dumps({**about, "format": 1, "seal": None}))
    assert len(OnnxRecommender(folder).recommend([], 3)) == 3
    assert "Changes of p5.json itself cannot be noticed in an export of this age" in p5("verify", folder).output


@pytest.mark.parametrize("content", ["{}", "[]", '{"model.onnx": [{}], "score.onnx": []}', '{"model.onnx": 3}'])
def test_golden_cases_that_cannot_be_read_are_a_sentence(
    content: str, histories: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = copytree(histories[1], tmp_path / "copy")
    (folder / "golden.json").write_text(content)
    reseal(folder)
    with pytest.raises(ExportError, match=r"golden\.json cannot be read; the file is damaged"):
        verify(folder)
