"""Recommendations with reasons, the export beside the network, and the endpoint for scripts."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Page, expect

from p5ui.pages.recommend.answers import Answer, Answers, Line, agreement, as_html
from p5ui.workspace.cache import Cache


def test_a_shelf_keeps_few_and_notices_what_was_written_again(tmp_path: Path) -> None:
    loaded: list[str] = []

    def load(folder: Path) -> str:
        loaded.append(folder.name)
        return folder.name

    cache = Cache(2, load)
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
        (folder / "mark").touch()
    for folder in (*folders[:2], folders[0], folders[2], folders[0], folders[1]):
        assert cache.get(folder, "mark") == folder.name
    assert loaded == ["a", "b", "c", "b"], "the one that was used last stays"
    os.utime(folders[1] / "mark", ns=(0, 0))
    cache.get(folders[1], "mark")
    assert loaded[-2:] == ["b", "b"]


def test_network_and_export_give_the_same_answer(ui, exported: Path) -> None:
    answers = Answers(ui.workspace)
    user = answers.any_user("first")
    history = answers.history("first", user)
    assert history
    assert answers.history("first", "nobody at all") == []
    network = answers.network("first", history, "", 5)
    assert network == answers.network("first", [], user, 5)
    assert any(line.reasons for line in network.lines)
    titles = set(answers.search("first").titles(history))
    assert all(set(line.reasons) <= titles for line in network.lines)
    found = agreement(network, answers.exported("first", history, "", 5))
    assert (found.n, found.n_same, found.is_same_order) == (5, 5, True)
    assert found.worst < 1e-4


def answer(*scores: tuple[str, float]) -> Answer:
    return Answer("x", [Line(item, item, score) for item, score in scores])


def test_only_equal_scores_may_change_places() -> None:
    one = answer(("a", 2.0), ("b", 1.0), ("c", 1.0))
    assert agreement(one, answer(("a", 2.0), ("c", 1.0), ("b", 1.0))).is_same_order
    assert not agreement(one, answer(("b", 1.0), ("a", 2.0), ("c", 1.0))).is_same_order
    assert not agreement(one, answer(("a", 2.0), ("b", 1.0))).is_same_order
    other = agreement(one, answer(("a", 2.5), ("d", 1.0), ("c", 1.0)))
    assert (other.n_same, other.worst) == (2, 0.5)


def test_texts_of_the_data_are_escaped() -> None:
    line = Line('"><script>', "<script>", 1.0, ("<i>",), 'https://example.org/"onerror="x.png')
    html = as_html(Answer("x", [line]), "<h>", "because")
    assert not any(text in html for text in ("<script", "<i>", "<h>", '"onerror'))


def test_an_unknown_user_is_not_shown_the_list_of_the_one_before(ui, page: Page) -> None:
    page.goto(f"{ui.address}/recommend?run=first")
    page.locator("#recommend-anybody").click()
    expect(page.locator("#recommend-list-0 li")).to_have_count(10)
    page.locator("#recommend-user input, #recommend-user textarea").fill("nobody")
    page.locator("#recommend-go").click()
    expect(page.get_by_text("Unknown user")).to_be_visible()
    expect(page.locator("#recommend-list-0 li")).to_have_count(0)
    expect(page.locator("#recommend-note")).not_to_contain_text("Loading")
