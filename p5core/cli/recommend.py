"""`p5 recommend`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from p5core.plugins.registry import Registry
    from p5core.workflows.recommend import Reason, Recommendation

__all__ = ["recommend", "recommendation_table"]


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--history", help="Raw item ids, oldest first, separated by commas.")
@click.option("--user", help="User id of the data, instead of a history.")
@click.option("--domain", help="Domain of the history's ids, if several domains use them.")
@click.option("-k", "k", type=click.IntRange(min=1), default=10, show_default=True, help="How many items.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def recommend(
    registry: Registry,
    run: Path,
    history: str | None,
    user: str | None,
    domain: str | None,
    k: int,
    as_json: bool,
) -> None:
    """Recommend items with a finished RUN, with reasons."""
    from rich.console import Console

    from p5core.workflows.recommend import Recommender

    if (history is None) == (user is None):
        raise click.UsageError("Give either --history or --user.")
    if domain is not None and history is None:
        raise click.UsageError("--domain names the domain of a --history.")
    recommender = Recommender.load(run, registry)
    if user is not None:
        recommendations = recommender.recommend_user(user, k, n_reasons=2)
    else:
        raw = [item.strip() for item in (history or "").split(",") if item.strip()]
        recommendations = recommender.recommend(raw, k, domain=domain, n_reasons=2)
        if unknown := recommender.unknown(raw, domain=domain):
            click.echo(f"Unknown items, left out: {', '.join(map(str, unknown))}.", err=True)
    if as_json:
        click.echo(json.dumps([asdict(result) for result in recommendations], ensure_ascii=False))
    else:
        Console().print(recommendation_table(recommendations))


def recommendation_table(recommendations: Sequence[Recommendation], title: str = "") -> Table:
    """Recommended items with titles, scores and the history items that pulled them up."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title) or None)
    for column in ("", "item", "title", "score", "because of"):
        table.add_column(column, justify="right" if column in ("", "score") else "left")
    for place, recommendation in enumerate(recommendations, start=1):
        because = ", ".join(_name(reason) for reason in recommendation.reasons)
        table.add_row(
            str(place),
            escape(str(recommendation.item)),
            escape(recommendation.title or ""),
            f"{recommendation.score:.2f}",
            escape(because),
        )
    return table


def _name(reason: Reason) -> str:
    return reason.title or str(reason.item)
