"""Opening the interface in the default browser."""

from __future__ import annotations

import os
import sys
import webbrowser

__all__ = ["open_browser"]


def open_browser(address: str) -> bool:
    """Show an address in the default browser; False when there is none to show it in.

    That is so without a desktop, on a build server, and when nobody reads the output. A browser within the terminal
    does not count: it would take the terminal over.
    """
    if os.environ.get("CI") or not sys.stdout.isatty():
        return False
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    return type(browser) is not webbrowser.GenericBrowser and browser.open(address)
