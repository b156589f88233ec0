"""What the core and its parts say in English has its Chinese, and nothing in the catalogue is left over."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from gradio.i18n import I18nData
from playwright.sync_api import Browser, expect

import p5core
import p5plugins
from p5core.config.base import PartSpec
from p5core.config.experiment import (
    EvaluateConfig,
    Experiment,
    ModelConfig,
    OptimiserConfig,
    ProbeConfig,
    StageConfig,
    TaskSpec,
)
from p5core.config.prepare import PrepareConfig
from p5core.evaluation.report import protocol_note
from p5core.plugins.discovery import load_plugins
from p5core.plugins.kinds import KINDS
from p5core.system.messages import Message
from p5ui.forms.fields import fields_of
from p5ui.i18n.translations import FINDINGS, HELPS, told, translated
from p5ui.i18n.words import LANGUAGES, words
from p5ui.pages.data.profile_view import diagnose, dropped_rows, look, warning_text
from p5ui.pages.export.actions import export_options
from p5ui.workspace.workspace import Workspace

CHINESE = {"accept-language": "zh-CN,zh;q=0.9"}
CORE, PARTS = Path(p5core.__file__).parent, Path(p5plugins.__file__).parent
SOURCES = [
    *CORE.glob("data/**/*.py"),
    CORE / "config" / "prepare.py",
    CORE / "fitting" / "experiment_data.py",
    CORE / "fitting" / "source.py",
    CORE / "evaluation" / "report.py",
    *PARTS.glob("loaders/*.py"),
    *PARTS.glob("layouts/*.py"),
    *PARTS.glob("splits/*.py"),
]
"""Files that find something."""

SECTIONS = (
    ModelConfig, StageConfig, TaskSpec, OptimiserConfig, PrepareConfig, ProbeConfig, EvaluateConfig, Experiment,
)  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("translated").resolve(), load_plugins())


def entries(*pages: str) -> dict[str, dict[str, str]]:
    return {key: dict(texts) for key, texts in words().items() if key.partition(".")[0] in pages}


def helps(workspace: Workspace) -> Iterator[str]:
    """What P5 says of its own options and parts."""
    for section in SECTIONS:
        yield from (one.help for one in fields_of(section))
    yield from (one.help for one in export_options())
    for kind in KINDS:
        for info in workspace.registry.parts(kind).values():
            if info.plugin.distribution == "p5rec":
                yield info.about
                yield from (one.help for one in fields_of(info.part.Config))


def test_every_help_has_its_words_and_no_words_are_left_over(workspace: Workspace) -> None:
    catalogue = [texts["en"] for texts in entries(*HELPS).values()]
    assert set(helps(workspace)) - set(catalogue) == set()
    assert set(catalogue) - set(helps(workspace)) == set()
    assert len(catalogue) == len(set(catalogue))


def is_chinese(text: str) -> bool:
    return re.search("[\u4e00-\u9fff]", text) is not None


def test_every_help_is_chinese_for_a_chinese_browser(workspace: Workspace) -> None:
    assert [one for one in helps(workspace) if not is_chinese(translated(CHINESE, one))] == []
    assert [one for one in helps(workspace) if translated({}, one) != one] == []
    assert all(isinstance(told(one), I18nData) for one in helps(workspace))


def test_what_nobody_knows_stays_as_it_is() -> None:
    for sentence in ("A network that comes and goes.", "How far the water rises.", "no {timestamp}", ""):
        assert told(sentence) == translated(CHINESE, sentence) == sentence


def test_languages_hold_the_same_values() -> None:
    for key, texts in entries(FINDINGS).items():
        held = [sorted(re.findall(r"\{.*?\}", texts[language])) for language in LANGUAGES]
        assert held[0] == held[1], key


def texts_in(file: Path) -> Iterator[str]:
    """Every text in a file."""
    constants = (node for node in ast.walk(parsed(file)) if isinstance(node, ast.Constant))
    yield from (node.value for node in constants if isinstance(node.value, str))


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


FILES = {
    "comma.csv": "user,item,time\n1,2,1700000000\n",
    "tab.csv": "user\titem\ttime\n1\t2\t1700000000000\n",
    "semicolon.csv": "user;item;time\n1;2;1700000000000000\n",
    "space.csv": "user item time\n1 2 1700000000000000000\n",
    "bar.csv": "user|item|time\n1|2|3\n",
    "bare.csv": "1,2,3\n",
    "lines.txt": "u a b\n",
    "things.csv": "sku,title\na,An A\nb,A B\n",
}
SKETCHED = [
    *({"name": "table", "path": name} for name in FILES),
    {"name": "table", "path": "comma.csv", "separator": ","},
    {"name": "table", "path": "bare.csv", "separator": ","},
    {"name": "table", "path": "comma.csv", "header": True},
    {"name": "sequences", "path": "lines.txt", "items": "things.csv"},
]


def notes(workspace: Workspace) -> Iterator[str]:
    """What is guessed of small files."""
    for name, text in FILES.items():
        (workspace.folder / name).write_text(text)
    for section in SKETCHED:
        yield from look(workspace, section).notes


def messages_in(note: str) -> Iterator[Message]:
    """A message and those among its values."""
    if isinstance(note, Message):
        yield note
        for value in note.values.values():
            yield from messages_in(value)


def test_guesses_are_chinese(workspace: Workspace) -> None:
    assert "自动判断：分隔符为逗号，有标题行" in {translated(CHINESE, one) for one in notes(workspace)}
    assert "时间是数字；按自 1970 年起的毫秒数读取" in {translated(CHINESE, one) for one in notes(workspace)}
    assert [one for one in notes(workspace) if not is_chinese(translated(CHINESE, one))] == []


def test_no_finding_is_left_over(workspace: Workspace) -> None:
    written = {text for file in SOURCES for text in texts_in(file)}
    seen = {one.template for note in notes(workspace) for one in messages_in(note)}
    findings = {key: texts["en"] for key, texts in entries(FINDINGS).items()}
    assert [key for key, text in findings.items() if text not in seen | written] == []


def test_every_message_has_its_words() -> None:
    calls = [node for file in SOURCES for node in ast.walk(parsed(file)) if isinstance(node, ast.Call)]
    templates = {
        str(call.args[0].value)
        for call in calls
        if ast.unparse(call.func) == "Message" and isinstance(call.args[0], ast.Constant)
    }
    assert len(templates) >= 15
    assert templates - {texts["en"] for texts in entries(FINDINGS).values()} == set()


@pytest.mark.parametrize(("metric", "candidates"), [("ndcg", 0), ("ndcg", 100), ("mae", 0)])
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_how_it_was_measured_is_said_in_chinese(
    workspace: Workspace, metric: str, candidates: int, exclude_seen: bool
) -> None:
    measured = workspace.registry.choose("metric", PartSpec(name=metric), "evaluate").build()
    note = translated(CHINESE, protocol_note([measured], candidates, exclude_seen))
    assert re.search("[a-z]", note) is None


DIRTY = """customer,sku,when,stars
,a,1700000001,5
u1,,1700000002,5
u1,a,,5
u1,a,1700000003,1
u1,a,1700000004,5
u1,a,1700000005,5
u1,b,1700000006,5
u1,c,1700000007,5
u1,d,1700000008,5
u2,a,1700000010,4
u2,b,1700000011,4
u2,c,1700000012,4
u2,d,1700000013,4
u3,a,1700000014,4
"""
SECTION = {"name": "table", "path": "dirty.csv", "user": "customer", "item": "sku", "timestamp": "when"}


@pytest.fixture
def dirty(workspace: Workspace) -> Workspace:
    (workspace.folder / "dirty.csv").write_text(DIRTY)
    return workspace


def test_the_doctor_of_a_dirty_log_speaks_chinese(dirty: Workspace) -> None:
    cleaning = PrepareConfig(min_rating=2, min_user_events=2, min_item_events=2, keep="first")
    found = diagnose(dirty, SECTION, cleaning, PartSpec(name="leave_one_out"))
    assert dropped_rows(CHINESE, found).iloc[:, 1].tolist() == [
        "没有用户或物品编号（空文本、含 NUL 的文本和 -9223372036854775808 不能作为编号）",
        "没有时间",
        "评分低于 2.0",
        "用户与物品重复，保留第一个",
        "用户的事件少于 2 个，或物品的事件少于 2 个",
    ]
    assert "训练事件晚于第一个测试事件" in warning_text(CHINESE, found)


@pytest.mark.parametrize(
    ("cleaning", "splitting", "sentence"),
    [
        (PrepareConfig(min_user_events=90), {"name": "leave_one_out"}, "没有剩余数据"),
        (
            PrepareConfig(min_user_events=1),
            {"name": "time", "validation": datetime(1970, 1, 2), "test": 0.9},
            "没有训练事件",
        ),
    ],
)
def test_what_is_impossible_is_said_in_chinese(
    dirty: Workspace, cleaning: PrepareConfig, splitting: dict[str, Any], sentence: str
) -> None:
    assert sentence in warning_text(CHINESE, diagnose(dirty, SECTION, cleaning, PartSpec.model_validate(splitting)))


def test_the_form_helps_in_chinese(ui, browser: Browser, small: str) -> None:
    ui.workspace.experiments.mkdir(exist_ok=True)
    two = small.replace("width = 8", 'width = 8\nencoders = [{ name = "id" }, { name = "numbers", columns = ["x"] }]')
    (ui.workspace.experiments / "two.toml").write_text(two.replace('name = "gpt", n_layers = 1', 'name = "tide"'))
    with browser.new_context(locale="zh-CN") as context:
        tab = context.new_page()
        tab.goto(f"{ui.address}/train?draft=two")
        form = tab.locator("#train-form")
        for key in ("option.model_width", "part.recurrent_layers", "part.task_next_item", "part.encoder_numbers"):
            expect(form).to_contain_text(words()[key]["zh"], timeout=40_000)
        expect(form).to_contain_text("A network that comes and goes.")
        expect(form).not_to_contain_text(words()["option.model_width"]["en"])
        expect(form).not_to_contain_text("__i18n__")
