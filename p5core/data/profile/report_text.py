"""The report of preparation as text."""

from __future__ import annotations

from p5core.data.profile.report import PrepareReport

__all__ = ["report_text"]


def report_text(report: PrepareReport) -> str:
    """The report as lines for the terminal and the log."""
    lengths = report.history_lengths
    lines = [
        f"{report.source}: {report.n_read:,} events read",
        *(f"  note: {note}" for note in report.notes),
        *(f"  dropped {step.rows:,}: {step.reason}" for step in report.dropped),
        f"  {report.n_users:,} users, {report.n_items:,} items{_cold(report)}, {report.n_events:,} events, "
        f"density {report.density:.3%}",
        f"  history lengths: {lengths['min']:.0f} to {lengths['max']:.0f}, median {lengths['median']:.0f}; "
        f"repeats {report.repeat_rate:.1%}; same time as the event before {report.tied_share:.1%}",
        f"  popularity: Gini {report.popularity_gini:.2f}, the top 1 % of the items have "
        f"{report.top_percent_share:.0%} of the events",
    ]
    if report.time_span:
        lines.append(f"  from {report.time_span[0]} to {report.time_span[1]}")
    if report.ratings:
        lines.append("  ratings: {min:g} to {max:g}, mean {mean:.2f}".format(**report.ratings))
    lines += [
        f"  {name}: {share:.1%} of the items have none" for name, share in report.missing_features.items() if share
    ]
    if report.cold_share is not None:
        lines.append(f"  {report.cold_share:.1%} of the test events are of items without training events")
    lines += [f"  warning: {warning}" for warning in report.warnings]
    return "\n".join(lines)


def _cold(report: PrepareReport) -> str:
    return f" ({report.n_cold_items:,} of them without events)" if report.n_cold_items else ""
