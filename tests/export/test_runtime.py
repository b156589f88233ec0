"""An export in use: from Python, from threads, from a zip, and when somebody has changed it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from p5core.cli import build
from p5core.errors import ExportError
from p5core.plugins.discovery import load_plugins
from p5core.workflows.recommend import Recommender
from p5export.bundle.bundle import Bundle, opened, seal, zip_folder
from p5export.bundle.external_data import external_files
from p5export.runtime import OnnxRecommender
from p5export.validation.verify import verify

REGISTRY = load_plugins()


def p5(*arguments: object) -> Result:
    return CliRunner().invoke(build(REGISTRY), [str(one) for one in arguments])


def test_answers_are_those_of_the_run(histories: tuple[Path, Path]) -> None:
    run, folder = histories
    model, network = OnnxRecommender(folder, threads=1), Recommender.load(run)
    known = [item for item, _ in network.history(pd.read_parquet(run / "data" / "target" / "users.parquet")["user"][0])]
    for history in (known, known[:1], [], ["unheard of"], [*known, "unheard of", *known]):
        found, wanted = model.recommend(history, 7), network.recommend(history, 7)
        assert [one.item for one in found] == [one.item for one in wanted]
        assert [one.metadata["title"] for one in found] == [one.title for one in wanted]
        assert [one.score for one in found] == pytest.approx([one.score for one in wanted], rel=1e-4, abs=1e-5)
    assert model.score(known, known[:3]) == pytest.approx(network.score(known, known[:3]), rel=1e-4, abs=1e-5)
    assert model.score(known, ["unheard of"])[0] == -np.inf


def test_a_batch_equals_its_rows(histories: tuple[Path, Path]) -> None:
    model = OnnxRecommender(histories[1])
    popular = [one.item for one in model.recommend([], 9)]
    many = [popular[:n] for n in range(9)]
    assert [[one.item for one in answer] for answer in model.recommend_batch(many, 5)] == [
        [one.item for one in model.recommend(history, 5)] for history in many
    ]
    assert model.recommend_batch([], 5) == []
    assert len(model.recommend(popular, 1000)) == 40 - 9


def test_threads_share_a_model(histories: tuple[Path, Path]) -> None:
    model = OnnxRecommender(histories[1], threads=1)
    popular = [one.item for one in model.recommend([], 20)]
    wanted = [model.recommend(popular[:n], 5) for n in range(20)]
    fresh = OnnxRecommender(histories[1], threads=1)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda n: fresh.recommend(popular[: n % 20], 5), range(400)))
    assert all(answer == wanted[n % 20] for n, answer in enumerate(found))


def test_a_model_of_users_is_asked_by_user(users: tuple[Path, Path]) -> None:
    run, folder = users
    model, network = OnnxRecommender(folder), Recommender.load(run)
    for user in pd.read_parquet(run / "data" / "target" / "users.parquet")["user"][:5].tolist():
        assert [one.item for one in model.recommend(user, 5)] == [one.item for one in network.recommend_user(user, 5)]
    popular = model.recommend(-12345, 5)
    assert len(popular) == 5
    ratings = model.ratings(-12345, [popular[0].item, 10**15])
    assert ((ratings > 1) & (ratings < 5)).all()


def test_wrong_questions_get_a_sentence(histories: tuple[Path, Path], users: tuple[Path, Path]) -> None:
    of_histories, of_users = OnnxRecommender(histories[1]), OnnxRecommender(users[1])
    with pytest.raises(ExportError, match="A history is a list of item ids, oldest first; got 'abc'"):
        of_histories.recommend("abc")
    with pytest.raises(ExportError, match="represents users by trained vectors and reads no history"):
        of_users.recommend([1, 2])
    with pytest.raises(ExportError, match="64-bit integers; got 'abc'"):
        of_users.recommend("abc")
    with pytest.raises(ExportError, match="64-bit integers; got 9223372036854775808"):
        of_users.recommend(2**63)
    with pytest.raises(ExportError, match=r"predicts no ratings\. Its predictions: none: it was trained to rank alone"):
        of_histories.ratings([], ["a"])
    with pytest.raises(ExportError, match="k is -1; ask for 0 items or more"):
        of_histories.recommend([], -1)


def test_options_of_sessions_are_passed_on(histories: tuple[Path, Path]) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = OnnxRecommender(histories[1], options=options, providers=["CPUExecutionProvider"], check=False)
    assert [one.item for one in plain.recommend([], 3)] == [
        one.item for one in OnnxRecommender(histories[1]).recommend([], 3)
    ]


def test_verify_repeats_the_proof_without_torch(histories: tuple[Path, Path], users: tuple[Path, Path]) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'onnx_ir', 'pandas', 'duckdb', 'pydantic', 'scipy', 'lightning_fabric'):\n"
        "    sys.modules[name] = None\n"
        "from pathlib import Path\n"
        "from p5export.validation.verify import verify\n"
        "from p5export.runtime import OnnxRecommender\n"
        "print(verify(Path(sys.argv[1])).n_cases, len(OnnxRecommender(sys.argv[1]).recommend(eval(sys.argv[2]), 3)))\n"
    )
    for folder, who in ((histories[1], "[]"), (users[1], "3")):
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder), who], capture_output=True, text=True, check=False
        )
        assert done.stdout.split() == ["24", "3"], done.stderr
    assert "24 golden cases give the same answers" in p5("verify", histories[1]).output


@pytest.mark.parametrize("name", ["model.onnx", "score.onnx", "golden.json", "README.md"])
def test_a_flipped_byte_is_reported(name: str, histories: tuple[Path, Path], tmp_path: Path) -> None:
    folder = copytree(histories[1], tmp_path / "copy")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    result = p5("verify", folder)
    assert result.exit_code == 1
    assert f"{name} was changed after the export: its hash differs" in result.output
    with pytest.raises(ExportError, match="its hash differs"):
        OnnxRecommender(folder)


def reseal(folder: Path) -> None:
    """What somebody would do who changes a file and its hash."""
    manifest = json.loads((folder / "p5.json").read_text())
    from p5core.system.files import sha256

    manifest["files"] = {name: sha256(folder / name) for name in manifest["files"] if (folder / name).exists()}
    (folder / "p5.json").write_text(json.dumps({**manifest, "seal": seal(manifest)}))


def table_of(model: onnx.ModelProto) -> onnx.TensorProto:
    """The (V, D) item vectors of a model of 40 items and width 8."""
    return next(one for one in model.graph.initializer if list(one.dims) == [40, 8])


def test_another_model_under_the_same_name_fails_its_golden_cases(histories: tuple[Path, Path], tmp_path: Path) -> None:
    folder = copytree(histories[1], tmp_path / "copy")
    model = onnx.load(folder / "model.onnx")
    table = table_of(model)
    table.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(table) * 1.1, table.name))
    onnx.save(model, folder / "model.onnx")
    reseal(folder)
    with pytest.raises(ExportError, match=r"model\.onnx, golden case \d+: scores\[\d+, \d+\] is .* and was"):
        verify(folder)


def test_what_is_no_export_is_refused(histories: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"is no exported model: it has no p5\.json"):
        Bundle.load(tmp_path)
    (tmp_path / "p5.json").write_text('{"format": 99}')
    with pytest.raises(ExportError, match="has format 99; this version of P5 reads format 1 and 2"):
        Bundle.load(tmp_path)
    (tmp_path / "p5.json").write_text("{")
    with pytest.raises(ExportError, match="cannot be read; the file is damaged"):
        Bundle.load(tmp_path)
    folder = copytree(histories[1], tmp_path / "copy")
    (folder / "score.onnx").unlink()
    with pytest.raises(ExportError, match=r"lacks its file score\.onnx"):
        Bundle.load(folder).check()
    reseal(folder)
    with pytest.raises(ExportError, match="does not list all files"):
        Bundle.load(folder).check()
    manifest = json.loads((folder / "p5.json").read_text()) | {"files": {"../secret": "0"}}
    (folder / "p5.json").write_text(json.dumps(manifest | {"seal": seal(manifest)}))
    with pytest.raises(ExportError, match=r"names the file '\.\./secret', which is no part of an export"):
        Bundle.load(folder).check()


def test_links_and_foreign_data_are_refused(histories: tuple[Path, Path], tmp_path: Path) -> None:
    folder = copytree(histories[1], tmp_path / "copy")
    (folder / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(ExportError, match=r"lacks its file model\.onnx"):
        OnnxRecommender(folder)
    (folder / "model.onnx").unlink()
    model = onnx.load(tmp_path / "elsewhere.onnx")
    table = table_of(model)
    (tmp_path / "secret.bin").write_bytes(table.raw_data)
    table.ClearField("raw_data")
    table.data_location = onnx.TensorProto.EXTERNAL
    table.external_data.add(key="location", value="../secret.bin")
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    reseal(folder)
    with pytest.raises(ExportError, match=r"model\.onnx reads '\.\./secret\.bin'"):
        OnnxRecommender(folder)
    with pytest.raises(ExportError, match=r"model\.onnx reads '\.\./secret\.bin'"):
        verify(folder)


def test_weights_beside_the_model_are_found_by_walking_the_file(histories: tuple[Path, Path], tmp_path: Path) -> None:
    model = onnx.load(histories[1] / "model.onnx")
    onnx.save(model, tmp_path / "big.onnx", save_as_external_data=True, location="big.onnx.data", size_threshold=100)
    assert external_files(tmp_path / "big.onnx") == {"big.onnx.data"}
    assert external_files(histories[1] / "model.onnx") == set()
    hidden = onnx.helper.make_tensor("hidden", onnx.TensorProto.FLOAT, [1], [1.0])
    hidden.ClearField("float_data")
    hidden.data_location = onnx.TensorProto.EXTERNAL
    hidden.external_data.add(key="location", value="deep/inside")
    constant = onnx.helper.make_node("Constant", [], ["x"], value=hidden)
    inner = onnx.helper.make_graph([constant], "inner", [], [])
    branch = onnx.helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([branch], "outer", [], [])), tmp_path / "deep.onnx")
    assert external_files(tmp_path / "deep.onnx") == {"deep/inside"}
    (tmp_path / "no.onnx").write_bytes(b"location, location, location")
    with pytest.raises(ExportError, match=r"no\.onnx is no ONNX file"):
        external_files(tmp_path / "no.onnx")


def test_a_zip_is_as_good_as_its_folder(histories: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    zip_folder(histories[1], path)
    first = path.read_bytes()
    zip_folder(histories[1], path)
    assert path.read_bytes() == first
    with opened(path) as folder:
        assert verify(folder).n_cases == 24
    assert not folder.exists()
    assert "24 golden cases" in p5("verify", path).output


@pytest.mark.parametrize("name", ["../p5.json", "/etc/p5.json", "a/p5.json", "evil.py", "..\\p5.json"])
def test_a_zip_that_reaches_out_is_refused(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(name, "{}")
    with (
        pytest.raises(ExportError, match="which is no file of an export"),
        opened(tmp_path / "evil.zip"),
    ):
        pytest.fail("it was opened")


def test_a_zip_with_a_link_a_bomb_a_twin_or_garbage_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("p5.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.onnx", bytes(50_000_000))
    with zipfile.ZipFile(tmp_path / "twin.zip", "w") as archive:
        archive.writestr("p5.json", "{}")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("p5.json", "{}")
    (tmp_path / "garbage.zip").write_bytes(b"PK garbage")
    for name, match in {
        "link": "no file of an export",
        "bomb": "which no export does",
        "twin": "holds a file twice",
        "garbage": "cannot be unpacked",
    }.items():
        with pytest.raises(ExportError, match=match), opened(tmp_path / f"{name}.zip"):
            pytest.fail("it was opened")


def test_the_command_exports_zips_and_says_how_to_call(histories: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("\n".join(one.item for one in OnnxRecommender(histories[1]).recommend([], 3)))
    target = tmp_path / "out"
    done = p5("export", histories[0], "-o", target, "--zip", "--allow", tmp_path / "few.txt", "--column", "title")
    assert done.exit_code == 0, done.output
    assert "Equal to the network on 64 requests" in done.output
    assert "require('onnxruntime-node')" in done.output
    assert len(OnnxRecommender(target).recommend([], 10)) == 3
    assert target.with_suffix(".zip").is_file()
    assert p5("export", tmp_path / "nothing").exit_code == 1


def test_the_runtime_loads_in_a_moment() -> None:
    code = "import sys, p5export.runtime; assert not {'torch', 'pandas', 'onnx', 'pydantic'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
