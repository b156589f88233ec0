"""The page Train: a form of what is installed, the text that it writes, and its start."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from p5core.errors import ConfigError
from p5ui.workspace.drafts import delete_draft


@pytest.fixture
def form(ui, page: Page, small: str) -> Page:
    """The page with a draft and its form."""
    ui.workspace.experiments.mkdir(exist_ok=True)
    (ui.workspace.experiments / "small.toml").write_text(small)
    page.goto(f"{ui.address}/train?draft=small")
    expect(page.locator("#option-model-width")).to_be_visible(timeout=40_000)
    return page


def choose(page: Page, place: str, name: str) -> None:
    page.locator(f"{place} input").first.click()
    page.get_by_role("option", name=name, exact=True).first.click()


def replace_text(page: Page, text: str) -> None:
    page.locator("#train-toml .cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


def test_the_form_writes_the_text(form: Page, shot) -> None:
    text, note = form.locator("#train-toml .cm-content"), form.locator("#train-note")
    expect(note).to_contain_text("valid")
    form.locator("#option-model-width input").fill("16")
    expect(text).to_contain_text("width = 16")
    expect(form.locator("#option-model-encoders")).to_contain_text("A learned vector per item")
    choose(form, "#option-model-encoders", "categories")
    expect(form.get_by_text("A learned vector per item")).to_have_count(1)
    expect(note).to_contain_text("model.encoders.1.columns: this option is required")
    expect(form.locator("#option-model-encoders-1-columns")).to_be_visible()  # buttons drawn before are dead by now
    form.locator("#train-add-stage").click()
    expect(form.locator("#train-stage-1")).to_be_visible()
    expect(text).to_contain_text('name = "stage-2"')
    form.locator("#train-remove-1").click()
    expect(form.locator("#train-stage-1")).to_have_count(0)
    choose(form, "#train-begin", "Masked-item pre-training, then fine-tuning on the next item.")
    expect(form.locator("#train-stage-1")).to_be_visible()
    expect(text).to_contain_text('name = "masked_item"')
    shot(form, "train")


def test_a_scorer_takes_the_place_of_the_network_and_gives_it_back(form: Page) -> None:
    text, note = form.locator("#train-toml .cm-content"), form.locator("#train-note")
    choose(form, "#option-model-scorer", "ease")
    expect(text).to_contain_text('name = "ease"')
    expect(form.locator("#option-model-scorer-n_neighbours")).to_be_visible()
    expect(form.locator("#option-model-backbone")).to_have_count(0)
    expect(form.locator("#train-stage-0")).to_have_count(0)
    expect(note).to_contain_text("valid")
    choose(form, "#option-model-scorer", "none: a network")
    expect(form.locator("#option-model-backbone")).to_be_visible()
    expect(text).not_to_contain_text("ease")
    expect(note).to_contain_text("valid")


def test_changes_that_overtake_their_answers_all_count(form: Page) -> None:
    text = form.locator("#train-toml .cm-content")
    form.evaluate(
        """() => {
            for (const [place, value] of [["model-width", 24], ["model-max_length", 9], ["stages-0-epochs", 5]]) {
                const box = document.querySelector(`#option-${place} input`);
                box.value = value;
                box.dispatchEvent(new Event("input", { bubbles: true }));
            }
        }"""
    )
    for line in ("width = 24", "max_length = 9", "epochs = 5"):
        expect(text).to_contain_text(line)
    form.locator("#option-model-width input").fill("8")
    expect(text).to_contain_text("width = 8")
    expect(text).to_contain_text("epochs = 5")


def test_what_is_typed_counts_though_it_was_there_before(form: Page, small: str) -> None:
    text = form.locator("#train-toml .cm-content")
    before = str(form.evaluate("document.querySelector('#train-toml .cm-content').innerText"))
    form.locator("#option-model-width input").fill("24")
    expect(text).to_contain_text("width = 24")
    with form.expect_response("**/queue/join*"):  # nobody types so fast that the next change is sent before
        replace_text(form, before)
    form.locator("#option-model-max_length input").fill("9")
    expect(text).to_contain_text("max_length = 9")
    expect(text).to_contain_text("width = 8")


def test_an_option_of_a_plugin_appears_by_itself(form: Page) -> None:
    choose(form, "#option-model-backbone", "tide")
    expect(form.locator("#option-model-backbone")).to_contain_text("A network that comes and goes.")
    height = form.locator("#option-model-backbone-height")
    expect(height).to_contain_text("How far the water rises.")
    expect(height.locator("input[type=range]")).to_have_attribute("max", "1")
    choose(form, "#option-model-backbone-moon", "full")
    expect(form.locator("#train-toml .cm-content")).to_contain_text('moon = "full"')
    expect(form.locator("#train-note")).to_contain_text("valid")


def test_the_text_is_checked_and_draws_the_form(form: Page, small: str) -> None:
    note = form.locator("#train-note")
    replace_text(form, "[data\n")
    expect(note).to_contain_text("not valid TOML")
    replace_text(form, '[data]\nname = "table"\npath = "/etc/passwd"\n')
    expect(note).to_contain_text("'/etc/passwd' is not below the working folder")
    form.locator("#train-name").locator("input, textarea").fill("a/b")
    form.locator("#train-save").click()
    expect(form.get_by_text("'a/b' is no name for a draft.")).to_be_visible()
    replace_text(form, small.replace("n_layers = 1", "layers = 1"))
    expect(note).to_contain_text("model.backbone: unknown option 'layers'. Did you mean 'n_layers'?")
    replace_text(form, small.replace("epochs = 2", "epochs = 3"))
    form.locator("#train-name").locator("input, textarea").click()
    expect(form.locator("#option-stages-0-epochs input")).to_have_value("3")
    form.reload()
    expect(form.locator("#option-stages-0-epochs input")).to_have_value("3")


def test_a_draft_is_deleted_and_nothing_else(ui, form: Page, small: str) -> None:
    (ui.workspace.experiments / "mistake.toml").write_text(small)
    form.goto(f"{ui.address}/train?draft=mistake")
    expect(form.locator("#train-draft input")).to_have_value("mistake")
    form.locator("#train-delete").click()
    expect(form.locator("#train-question")).to_contain_text("mistake")
    form.locator("#train-delete-yes").click()
    expect(form.get_by_text("The draft mistake was deleted.")).to_be_visible()
    expect(form.locator("#train-draft input")).to_have_value("")
    assert [path.name for path in ui.workspace.experiments.glob("[ms]*.toml")] == ["small.toml"]
    for name in ("nobody", "../small", "examples/gpt", ""):
        with pytest.raises(ConfigError, match="is not among the drafts"):
            delete_draft(ui.workspace, name)
