"""Weights of events: what has none counts for nothing, and returns cancel what they return."""

from __future__ import annotations

import pandas as pd

from p5core.data.columns import WEIGHT
from p5core.data.ingest.database import Workspace
from p5core.data.ingest.staging import Staged
from p5core.data.profile.report import Dropped
from p5core.errors import DataError
from p5core.system.messages import Message

__all__ = ["apply_weights"]

ROUNDING = 1e-6
"""Share of a weight, as a 32-bit float, that is left of it by rounding alone."""


def apply_weights(workspace: Workspace, staged: Staged) -> list[Dropped]:
    """Drop events of weight 0, and let negative ones cancel the latest earlier events of the same user and item."""
    if not any(field.name == WEIGHT for field in staged.fields):
        return []
    before = workspace.count("events")
    n_zero = int(workspace.row(f'SELECT count(*) FROM events WHERE "{WEIGHT}" = 0')[0])
    returned = _cancelled(workspace)
    workspace.connection.register("cancelled", returned)
    workspace.run(f'UPDATE events SET "{WEIGHT}" = c.left_over FROM cancelled c WHERE events."p5_row" = c."p5_row"')
    workspace.connection.unregister("cancelled")
    workspace.run(f'DELETE FROM events WHERE "{WEIGHT}" <= 0')
    if workspace.count("events") == 0:
        raise DataError(
            "Nothing is left: no event has a positive weight. Returns cancel earlier events of the same file alone; "
            "name another column as weight if these are none."
        )
    n_returned = before - workspace.count("events") - n_zero
    return [
        Dropped(Message("weight 0"), n_zero),
        Dropped(Message("returns (negative weights) and the events that they cancel"), n_returned),
    ]


def _cancelled(workspace: Workspace) -> pd.DataFrame:
    """Rows of the pairs with returns, and the weight that is left of each."""
    pairs = f'SELECT DISTINCT "user", "item", "domain" FROM events WHERE "{WEIGHT}" < 0'
    rows = workspace.connection.execute(
        f'SELECT e."p5_row", e."{WEIGHT}" AS amount, '
        'dense_rank() OVER (ORDER BY e."user", e."domain", e."item") AS pair '
        f'FROM events e SEMI JOIN ({pairs}) p USING ("user", "item", "domain") '
        'ORDER BY pair, e."time", e."p5_row"'
    ).df()
    amounts = [float(amount) for amount in rows["amount"]]
    left = list(amounts)
    opened: list[int] = []
    for place, (pair, amount) in enumerate(zip(rows["pair"].tolist(), amounts, strict=True)):
        if place == 0 or pair != rows["pair"].iat[place - 1]:
            opened = []
        if amount > 0:
            opened.append(place)
            continue
        left[place] = 0.0
        while amount < 0 and opened:
            taken = min(left[opened[-1]], -amount)
            left[opened[-1]] -= taken
            amount += taken
            if left[opened[-1]] <= ROUNDING * amounts[opened[-1]]:
                left[opened[-1]] = 0.0
                opened.pop()
    return pd.DataFrame({"p5_row": rows["p5_row"], "left_over": pd.Series(left, dtype="float32")})
