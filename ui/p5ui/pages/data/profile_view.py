"""The contents of the page Data: previews, figures and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from p5core.config.base import PartSpec
from p5core.config.prepare import PrepareConfig
from p5core.data.ingest.first_events import read_events
from p5core.data.profile.findings import Merit
from p5core.data.profile.preview import Preview
from p5core.data.profile.report import PrepareReport
from p5core.errors import DataError
from p5core.workflows.profile import Profile, profile
from p5ui.i18n.messages import plain, said, said_in_markdown
from p5ui.i18n.translations import translated
from p5ui.workspace.sandbox import grounded
from p5ui.workspace.workspace import Workspace

__all__ = ["Look", "diagnose", "dropped_rows", "figures", "look", "merit_text", "popularity", "warning_text"]

Headers = Mapping[str, str]

SIGNS = {"good": "●", "limited": "◐", "absent": "○"}


@dataclass(frozen=True, eq=False)
class Look:
    """The first rows of a log, raw and as read."""

    preview: Preview
    events: pd.DataFrame | None
    notes: tuple[str, ...]
    fault: str


def look(workspace: Workspace, section: Mapping[str, Any]) -> Look:
    """Read the first rows of a data section; faults of the data are reported, not raised.

    Raises ConfigError for an option that is wrong or a file that pages may not read.
    """
    loader = workspace.registry.choose("loader", grounded(PartSpec.model_validate(section), workspace), "data").build()
    preview = Preview(pd.DataFrame(), {}, None)
    try:
        preview = loader.preview()
        events, notes = read_events(preview.head) if preview.head else (None, preview.notes)
    except DataError as error:
        return Look(preview, None, preview.notes, error.message)
    return Look(preview, events, notes, preview.fault)


def diagnose(
    workspace: Workspace, section: Mapping[str, Any], cleaning: PrepareConfig | None, splitting: PartSpec | None
) -> Profile:
    """Load a data section and profile it; raises P5Error when it cannot be read."""
    spec = grounded(PartSpec.model_validate(section), workspace)
    raw = workspace.registry.choose("loader", spec, "data").build().load()
    return profile(raw, workspace.registry, cleaning, splitting)


def merit_text(headers: Headers, profile: Profile) -> str:
    """The purposes that the data suits, one paragraph each."""
    return "\n\n".join(f"{SIGNS[merit.verdict]} {_sentence(headers, merit)}" for merit in profile.merits)


def _sentence(headers: Headers, merit: Merit) -> str:
    subject = said(headers, f"data.subject_{merit.subject}")
    verdict = said(headers, f"data.verdict_{merit.verdict}")
    figures = {"share": f"{merit.figure:.0%}", "number": f"{merit.figure:.3g}", "names": ", ".join(merit.names)}
    return f"**{subject}** ({verdict}): " + said_in_markdown(
        headers, f"data.merit_{merit.subject}_{merit.reason}", **figures
    )


def warning_text(headers: Headers, profile: Profile) -> str:
    """Warnings: failures, dropped rows and leaks."""
    lines = [said(headers, "data.cut", rows=f"{profile.whole.n_read:,}")] if profile.is_cut else []
    lines += (
        [said_in_markdown(headers, "data.fault", fault=translated(headers, profile.fault))] if profile.fault else []
    )
    lines += [
        f"⚠ {plain(translated(headers, warning))}" for warning in (profile.report.warnings if profile.report else ())
    ]
    return "\n\n".join(lines)


def dropped_rows(headers: Headers, profile: Profile) -> pd.DataFrame:
    """Rows that are left out, and why."""
    dropped = (profile.report or profile.whole).dropped
    columns = [said(headers, "data.column_rows"), said(headers, "data.column_reason")]
    return pd.DataFrame([[f"{step.rows:,}", translated(headers, step.reason)] for step in dropped], columns=columns)


def figures(headers: Headers, profile: Profile) -> pd.DataFrame:
    """Figures as read and after cleaning."""
    before, after = _texts(profile.whole), _texts(profile.report) if profile.report else {}
    rows = {name: (text, after.get(name, "")) for name, text in before.items()}
    rows["duplicates"] = (f"{profile.duplicate_share:.1%}", "")
    rows["parts"] = ("", " / ".join(f"{size:,}" for size in profile.sizes.values()))
    columns = [said(headers, f"data.column_{column}") for column in ("what", "read", "cleaned")]
    table = [[said(headers, f"data.figure_{name}"), *texts] for name, texts in rows.items() if any(texts)]
    return pd.DataFrame(table, columns=columns)


def _texts(report: PrepareReport) -> dict[str, str]:
    return {
        "users": f"{report.n_users:,}",
        "items": f"{report.n_items:,}",
        "events": f"{report.n_events:,}",
        "density": f"{report.density:.3%}",
        "length": "{min:.0f} – {max:.0f}, {median:.0f}".format(**report.history_lengths),
        "repeats": f"{report.repeat_rate:.1%}",
        "ties": f"{report.tied_share:.1%}",
        "top": f"{report.top_percent_share:.0%}",
        "gini": f"{report.popularity_gini:.2f}",
        "span": " – ".join(report.time_span or ()),
        "rating": "{min:g} – {max:g}, {mean:.2f}".format(**report.ratings) if report.ratings else "",
        "cold": "" if report.cold_share is None else f"{report.cold_share:.1%}",
    }


def popularity(profile: Profile) -> pd.DataFrame:
    """The popularity curve in powers of ten, since plots have even scales only."""
    curve = profile.curves.popularity
    return pd.DataFrame({name: np.log10(curve[name]) for name in curve})
