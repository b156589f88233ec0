"""The card of a base: its README.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from p5core.config.tree import to_toml
from p5core.runs.base import BaseInfo

__all__ = ["base_card"]

CARD = """# {name}

Pre-trained weights of a recommender, made with P5 {p5} on {date} from the run `{run}`.

    p5 finetune experiment.toml --from {name}

trains `experiment.toml` from these weights and from scratch, and keeps the better one.

## Trained on

| stage | catalogues | users | items | training events |
| --- | --- | --- | --- | --- |
{rows}

No event and no user of these logs is in this folder. {items} Encoders keep what they need to read other items: names of
values, such as genres, and for texts the words that occur, with their rarity.

On validation events of the run: {figures}.

## Network

```toml
{model}```
{texts}
## Licence

{licence}
"""


def base_card(info: BaseInfo, name: str) -> str:
    """A base for people: its data in numbers, its network, its licence."""
    rows = [
        f"| {record.stage} | {', '.join(record.domains)} | {record.users:,} | {record.items:,} | {record.events:,} |"
        for record in info.trained_on
    ]
    texts = [
        f"- `{place}`: {', '.join(f'{key} {value}' for key, value in about.items())}\n"
        for place, about in info.features.items()
    ]
    return CARD.format(
        name=name,
        p5=info.p5,
        date=info.created[:10],
        run=info.run,
        rows="\n".join(rows),
        items="Vectors of its items are in it, with their ids and titles." if info.keeps_items else "No item is in it.",
        figures=", ".join(f"{label} {value:.4f}" for label, value in info.metrics.items()),
        model=to_toml({"model": _without_none(info.model)}),
        texts="".join(["\n", *texts]) if texts else "",
        licence=info.licence or "Not stated: weights may fall under the licence of the data that they were trained on.",
    )


def _without_none(tree: Any) -> Any:
    """A tree without empty values, which TOML cannot hold."""
    if isinstance(tree, Mapping):
        return {key: _without_none(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, Sequence) and not isinstance(tree, str):
        return [_without_none(value) for value in tree]
    return tree
