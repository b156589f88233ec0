"""Commands that plugins add to `p5`, and what `p5` says of plugins."""

from __future__ import annotations

from textwrap import dedent

from installed import TRACKER, Install, install, p5, row

__all__ = ["install"]

COMMAND = """
    import click
    from p5core.errors import DataError
    from p5core.plugins.hookspecs import hookimpl

    @click.command({name!r})
    def command():
        '''Say hello.'''
        {body}

    @hookimpl
    def p5_commands():
        return [command]
"""


def command(name: str, body: str) -> str:
    return dedent(COMMAND).format(name=name, body=body)


def test_a_plugin_adds_a_command(install: Install) -> None:
    install("p5_hello", command("hello", "click.echo('hello')"))
    assert p5("hello").stdout == "hello\n"
    assert row(p5("plugins", "list"), "p5_hello") == ["plugin", "p5_hello", "p5-hello", "1.2", "ok"]
    assert "Say hello." in p5("--help").stdout


def test_a_command_cannot_take_the_place_of_another(install: Install) -> None:
    install("p5_rival", command("run", "click.echo('not the real one')"))
    assert "Train and evaluate" in p5("run", "--help").stdout
    shown = p5("plugins", "list").stdout
    assert "The command 'run' is already taken. Give it another name." in shown


def test_a_deliberate_error_is_one_sentence_and_exit_code_1(install: Install) -> None:
    install("p5_hello", command("hello", "raise DataError('Row 3 is empty.')"))
    shown = p5("hello")
    assert (shown.exit_code, shown.stderr) == (1, "Error: Row 3 is empty.\n")


def test_an_interrupt_is_exit_code_130(install: Install) -> None:
    install("p5_hello", command("hello", "raise KeyboardInterrupt('Saved.')"))
    shown = p5("hello")
    assert (shown.exit_code, shown.stderr) == (130, "Saved.\n")


def test_wrong_usage_is_exit_code_2() -> None:
    shown = p5("plugins", "lst")
    assert shown.exit_code == 2
    assert "No such command 'lst'" in shown.stderr


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    import p5core

    assert p5("--version").stdout == f"p5, version {version('p5rec')}\n"
    assert p5core.__version__ == version("p5rec")


def test_presets_are_listed_and_suggested() -> None:
    listed = p5("presets").output
    for name in ("sasrec", "bert4rec", "gru4rec", "ease", "item_knn", "next_item"):
        assert f"\n{name} " in f"\n{listed}"
    assert "arXiv 1808.09781" in listed
    refused = p5("init", "x.csv", "--preset", "sasrek")
    assert refused.exit_code == 1
    assert "Did you mean 'sasrec'?" in refused.output


def test_a_markdown_table_escapes_what_would_end_a_cell(install: Install) -> None:
    install("p5_wave", TRACKER.replace("Draws waves.", "Draws |x| of\n        waves. More."))
    assert "| tracker | `wave` | Draws \\|x\\| of waves. |" in p5("plugins", "list", "--markdown").stdout
