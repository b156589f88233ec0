"""JavaScript that runs in every page: gradio's English names become labels, and our own links open in their tab."""

from __future__ import annotations

import json

from p5ui.i18n.words import LANGUAGES, words

__all__ = ["page_script"]

SCRIPT = """() => {
    const language = navigator.language.split("-")[0];
    const pages = NAMES[language] ?? NAMES.en;
    const bar = document.querySelector("nav");
    bar?.setAttribute("aria-label", pages.all);
    for (const link of document.querySelectorAll("nav a")) {
        link.textContent = pages[new URL(link.href).pathname.split("/").pop()] ?? link.textContent;
        if (link.classList.contains("active")) link.setAttribute("aria-current", "page");
    }
    const unnamed = ".vega-embed[aria-label='Vega visualization'], .cm-content[aria-label='Code input container'], "
        + "button[aria-label='Click to upload or drop files']";
    const name = () => {
        for (const one of document.querySelectorAll(unnamed)) {
            const label = one.closest(".block")?.querySelector("[data-testid=block-info], [data-testid=block-label]");
            const text = label?.textContent.trim();
            if (text) one.setAttribute("aria-label", text);
        }
        for (const link of document.querySelectorAll("a[target=_blank]")) {
            if (link.origin === window.location.origin && !link.download) link.removeAttribute("target");
        }
    };
    new MutationObserver(name).observe(document.body, {
        childList: true, subtree: true, attributes: true, attributeFilter: ["aria-label"],
    });
    name();
}"""


def page_script(paths: dict[str, str]) -> str:
    """The script for pages whose last part of the address has a key of the words."""
    keys = {"all": "nav.all"} | paths
    names = {language: {path: words()[key][language] for path, key in keys.items()} for language in LANGUAGES}
    return SCRIPT.replace("NAMES", json.dumps(names))
