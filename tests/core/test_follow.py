"""The logger of a run: its folder, trackers, a display, and signals that stop it."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from p5core.cli.display import Terminal
from p5core.config.document import parse_experiment
from p5core.contracts.part import NoOptions
from p5core.contracts.tracker import ResumeEvent, RunEvent, StageEvent, StepEvent, Tracker, ValidationEvent
from p5core.runs.create import create_run
from p5core.runs.documents import RunState
from p5core.runs.logger import RunLogger, catch_signals
from p5core.runs.progress import Phases
from p5core.runs.run import Run

STEP = StepEvent(
    stage="train",
    epoch=1,
    step=3,
    loss=2.5,
    learning_rate=0.01,
    events_per_second=1234.0,
    share=0.5,
    eta_seconds=61.0,
)
VALIDATION = ValidationEvent(
    stage="train", epoch=1, step=6, loss=2.0, is_best=True, share=1.0, metrics={"ndcg@10": 0.25, "loss": 7.0}
)


class Listener(Tracker):
    """Keeps the events that it receives."""

    name = "listener"

    def __init__(self, folder: Path) -> None:
        super().__init__(NoOptions(), folder)
        self.heard: list[RunEvent] = []
        self.is_closed = False

    def log(self, event: RunEvent) -> None:
        self.heard.append(event)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(tmp_path / "one", parse_experiment({"data": {"name": "synthetic"}}), {}, None)


def test_events_reach_the_folder_and_the_trackers(run: Run) -> None:
    listener = Listener(run.path)
    log = RunLogger(run, [listener], None, Phases(2))
    log.event(STEP)
    log.event(VALIDATION)
    stored = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    assert [one["kind"] for one in stored] == ["step", "validation"]
    assert [{name: value for name, value in one.items() if name != "time"} for one in stored] == [
        one.to_dict() for one in listener.heard
    ]
    assert (stored[1]["loss"], stored[1]["metrics"]) == (2.0, {"ndcg@10": 0.25, "loss": 7.0})
    assert all("time" in one for one in stored)
    log.close()
    assert listener.is_closed


def test_the_status_says_how_far_all_stages_are(run: Run) -> None:
    log = RunLogger(run, [], None, Phases(2))
    log.state(RunState.RUNNING)
    log.event(VALIDATION)
    assert run.status().share == 0.5
    log.event(StageEvent("train", 1, 1.0))
    log.event(replace(VALIDATION, stage="finetune", share=0.5))
    status = run.status()
    assert status.share == 0.75
    assert (status.state, status.stage, status.pid) == ("running", "finetune", os.getpid())
    assert run.state() == "running"
    log.state(RunState.FAILED, "the loss is nan")
    assert (run.state(), run.status().message) == ("failed", "the loss is nan")


def test_the_time_left_is_that_of_all_stages_and_of_the_evaluation(run: Run) -> None:
    log = RunLogger(run, [], None, Phases(2, [10.0, 80.0, 10.0]))
    log.event(replace(STEP, share=0.5, eta_seconds=5.0))
    assert (run.status().share, run.status().eta_seconds) == (0.05, 95.0)
    log.event(replace(VALIDATION, share=0.9))
    log.event(replace(STEP, share=0.9, eta_seconds=2.0))  # twice as slow as it was estimated
    log.event(VALIDATION)
    assert run.status().eta_seconds == pytest.approx(2 + 2 * 90)
    log.event(StageEvent("a", 1, 20.0))
    log.event(VALIDATION)
    assert run.status().share == pytest.approx(0.9)
    log.event(StageEvent("b", 2, 100.0))
    log.working()
    log.state(RunState.RUNNING)
    assert run.status().share == pytest.approx(0.9, abs=0.01)
    assert 9 < run.status().eta_seconds <= 10
    again = RunLogger(run, [], None, Phases(2, run.status().expected_seconds))
    again.event(ResumeEvent(1, 3))
    again.event(replace(VALIDATION, share=0.5))
    assert run.status().share == pytest.approx(0.5)


def test_sentences_are_kept_for_people(run: Run) -> None:
    log = RunLogger(run, [], None, Phases(1))
    log.say("two words")
    log.say("naïve")
    lines = (run.path / "log.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["two words", "naïve"]


def test_a_file_or_a_request_stops(run: Run) -> None:
    log = RunLogger(run, [], None, Phases(1))
    assert not log.stop_requested()
    (run.path / "stop").touch()
    assert log.stop_requested()
    log.close()
    assert not log.stop_requested()
    log.request_stop()
    assert log.stop_requested()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks_and_a_second_ctrl_c_breaks_off(run: Run, number: signal.Signals) -> None:
    log = RunLogger(run, [], None, Phases(1))
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    with catch_signals(log):
        os.kill(os.getpid(), number)
        assert log.stop_requested()
        assert f"{number.name}: stopping after this step" in (run.path / "log.txt").read_text()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert {one: signal.getsignal(one) for one in before} == before


def test_outside_the_main_thread_signals_are_left_alone(run: Run) -> None:
    faults: list[BaseException] = []

    def work() -> None:
        try:
            with catch_signals(RunLogger(run, [], None, Phases(1))):
                pass
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert faults == []


def shown(is_terminal: bool, *events: RunEvent) -> str:
    console = Console(width=160, force_terminal=is_terminal, color_system=None, record=True, quiet=False)
    with console.capture() as capture:
        terminal = Terminal(console)
        for event in events:
            terminal.show(event)
        terminal.say("[bold] stays as it is")
    return capture.get()


def test_a_file_gets_a_line_a_validation() -> None:
    text = shown(False, STEP, VALIDATION, StageEvent("train", 1, 1.0))
    assert "train epoch 1  loss 2.0000  ndcg@10 0.2500  loss 7.0000 *" in text
    assert "events/s" not in text
    assert "[bold] stays as it is" in text


def test_a_terminal_gets_a_bar_with_loss_metric_speed_and_time_left() -> None:
    text = shown(True, STEP, VALIDATION, STEP, StageEvent("train", 1, 1.0), StageEvent("train", 1, 1.0))
    for words in ("train epoch 1", "50%", "loss 2.5000", "ndcg@10 0.2500", "1,234 events/s", "1:01 left"):
        assert words in text


def test_short_trainings_come_before_the_stages() -> None:
    phases = Phases(1, [20.0, 60.0, 20.0])
    assert phases.share(0.5) == pytest.approx(0.1)
    assert phases.seconds_left(0.5, 10.0) == pytest.approx(90.0)
    phases.finish(0)
    assert phases.share(0.5) == pytest.approx(0.5)
    phases.finish(1)
    assert phases.share(0.0) == pytest.approx(0.8)
