"""The web site of the documentation: whole, without broken links, and equal to the code."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

import p5core
from p5core.plugins.discovery import load_plugins
from p5core.plugins.kinds import KINDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WRITTEN = ("parts.md", "experiment.md", "api.md", "upgrading.md")


class Links(HTMLParser):
    """Targets of links and pictures of a page, and the places that a link can name."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what the tag links to."""
        values = dict(attrs)
        self.targets += [target for key in ("href", "src") if (target := values.get(key))]
        self.ids |= {name for name in [values.get("id")] if name}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly from a copy."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(DOCS, folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    build = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def pages_of(site: Path) -> dict[str, Links]:
    return {page.name: Links(page) for page in site.glob("*.html") if page.name != "404.html"}


def test_every_page_is_built_and_in_the_navigation(site: Path) -> None:
    written = {path.with_suffix(".html").name for path in DOCS.glob("*.md")}
    assert set(pages_of(site)) == written
    navigation = str(tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"])
    assert {name for name in written if name.replace(".html", ".md") not in navigation} == set()


def test_links_of_the_site_lead_somewhere(site: Path) -> None:
    pages = pages_of(site)
    for name, page in pages.items():
        for target in page.targets:
            if re.match(r"https?://|mailto:|data:", target):
                continue
            path, _, anchor = target.partition("#")
            assert (site / (path or name)).exists(), f"{name} links to {target}"
            if anchor and (path or name) in pages:
                assert anchor in pages[path or name].ids, f"{name} links to {target}"


def test_the_site_loads_nothing_from_other_hosts(site: Path) -> None:
    for page in site.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert (
            re.findall(r"""<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)=["']?https?://[^>]*>""", text) == []
        )
        assert 'class="mermaid"' not in text  # its script would come from elsewhere


@pytest.fixture(scope="module")
def reference() -> dict[str, Callable[[], str]]:
    """The pages that are made from the code."""
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.PAGES)


@pytest.mark.parametrize("name", WRITTEN)
def test_pages_made_from_the_code_are_up_to_date(reference: dict[str, Callable[[], str]], name: str) -> None:
    assert set(reference) == set(WRITTEN)
    assert (DOCS / name).read_text(encoding="utf-8") == reference[name](), "`make reference` writes it"


def test_they_name_every_part_and_every_public_name() -> None:
    parts = (DOCS / "parts.md").read_text(encoding="utf-8")
    for kind in KINDS:
        for info in load_plugins().parts(kind).values():
            if info.plugin.distribution == "p5rec":
                assert f"### `{info.part.name}`\n\n{info.about}\n" in parts
    interface = (DOCS / "api.md").read_text(encoding="utf-8")
    assert [name for name in p5core.__all__ if f"### `p5core.{name}`" not in interface] == []
