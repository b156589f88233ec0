"""The preset for logs of interactions in order, chosen by the facts of a data set."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from p5core.contracts.preset import Preset
from p5core.data.columns import DOMAIN, ITEM, RATING, TITLE
from p5core.data.dataset import Dataset
from p5core.data.profile.order import file_order, repeated_targets
from p5plugins.texts.tfidf import WORD

__all__ = ["Sequential"]


SPARSE_BELOW = 20
"""Mean events of a user below which histories are short: wide vectors and narrow layers were best on Beauty."""

LEAST_DROPOUT, MOST_DROPOUT = 0.05, 0.3
"""Dropout of items with many events, and of items with few.

More than the largest cost a tenth of the network's NDCG on Beauty and Last.FM (16 and 14 events an item); the largest
instead of the smallest cost as much on MovieLens-1M (290).
"""

DROPOUT_TIMES_EVENTS = 15
"""Dropout times the mean events of an item, between the two: 0.25 for MovieLens-100K."""

EVENTS_SEEN, SPARSE_EVENTS_SEEN = 3_200_000, 2_000_000
"""Training events in all epochs together, of a small log; wide vectors have learnt all they can sooner."""

EPOCHS_OF_A_MILLION = 10
"""Epochs for a million events, and at least so many for fewer; more events are seen fewer times."""

SOME_REPEATS = 0.05
"""Share of last events that repeat an earlier item, above which repeats are kept and recommended: a model that may not
recommend them misses as many targets."""

VALIDATION_USERS = 5_000
"""Enough to tell epochs apart, in a tenth of the time of training or less."""

VALIDATION_LINE = (
    f"validation_users = {VALIDATION_USERS}  # so many at most pick the best epoch; all are measured at the end\n"
)

UNORDERED_EPOCHS = 2
"""Epochs of a log without order, as a multiple: where items are hidden, each epoch asks for some of them only."""

MOST_DENSE_ITEMS = 13_000
"""Items whose pairs fit into the memory that EASE takes by default."""

LEAST_KEPT = 0.1
"""Share of the events that the minimum of events of users and items leaves at least."""

TITLES_READ = 1_000
"""Values by which a column is taken for text."""

NAMES = re.compile(r"(?:^|[\W_]|(?<=[a-z])(?=I))(?:id|Id|ID|code)s?$")
"""Columns whose numbers stand for something else: id, brand_id, brandId, zip_code."""


@dataclass(frozen=True)
class _Choices:
    """The choices for a data set, with reasons."""

    keep: str
    why_keep: str
    n_cold: int
    """items of the items table without events"""
    cold_items: bool
    split: str
    why_split: str
    min_events: int
    width: int
    max_length: int
    longest: int
    """history items that are read where their order is not"""
    dropout: float

    feedforward: float
    """width inside the layers of the backbone, as a multiple of `width`"""

    encoders: tuple[str, ...]
    """TOML texts"""

    epochs: int


def _choices(dataset: Dataset) -> _Choices:
    """Choose by size, length of histories, share of tied times, and content."""
    lengths, n_events = np.diff(dataset.events.offsets), len(dataset.events)
    split, why_split = _split(dataset)
    is_sparse = n_events < SPARSE_BELOW * len(dataset.users)
    n_warm, encoders = len(np.unique(dataset.events.items)), _encoders(dataset)
    n_cold = len(dataset.catalogue) - n_warm
    repeats = repeated_targets(dataset)
    keeps_all = repeats > SOME_REPEATS
    return _Choices(
        keep="all" if keeps_all else "first",
        why_keep=f"{repeats:.1%} of the users' last events are of items that they had before",
        n_cold=n_cold,
        cold_items=n_cold <= n_warm and len(encoders) > 1,
        split=split,
        why_split=why_split,
        min_events=_least_events(dataset, 5 if np.median(lengths) >= 5 else 3),
        width=256 if is_sparse else 64 if n_events < 200_000 else 128,
        max_length=_rounded_up(np.quantile(lengths, 0.99), 200),
        longest=_rounded_up(lengths.max(), 1_000),
        dropout=_dropout(n_events / max(1, n_warm)),
        feedforward=2.0 if is_sparse else 4.0,
        encoders=encoders,
        epochs=_epochs(max(1, n_events), SPARSE_EVENTS_SEEN if is_sparse else EVENTS_SEEN),
    )


def _rounded_up(length: float, most: int) -> int:
    """The next power of two, from 10 to `most`."""
    return int(np.clip(2 ** np.ceil(np.log2(length)), 10, most))


UNKNOWN = _Choices(
    "first",
    "of several events of a user with an item: first, last or all",
    0,
    False,
    "leave_one_out",
    "the last event of each user is tested",
    5,
    64,
    50,
    200,
    0.2,
    4.0,
    ('{ name = "id" }',),
    20,
)
"""For a log of which nothing is known."""


def _least_events(dataset: Dataset, wanted: int) -> int:
    """The wanted minimum of events of users and items, or the largest smaller one that leaves enough of them."""
    pairs = pd.DataFrame({"user": dataset.events.users, "item": dataset.events.items}).drop_duplicates()
    for least in range(wanted, 1, -1):
        kept, before = pairs, -1
        while len(kept) != before:
            before = len(kept)
            for column in ("user", "item"):
                kept = kept[kept.groupby(column)[column].transform("size") >= least]
        if kept["user"].nunique() > 1 and kept["item"].nunique() > 1 and len(kept) >= LEAST_KEPT * len(pairs):
            return least
    return 1


def _split(dataset: Dataset) -> tuple[str, str]:
    """The split that suits the order of the events, and the reason."""
    if dataset.has_clock and _tied_share(dataset) > 0.5:
        return "time", "most events share their timestamp with the one before (baskets), so a last item has no meaning"
    if key := file_order(dataset):
        return "random", f"there are no times and histories are sorted by {key}, so no event is known to be the last"
    if not dataset.has_clock:
        return "leave_one_out", "the last row of each user is tested: the order of the rows is taken as that of time"
    return "leave_one_out", "the last event of each user is tested; 'time' gives an honest forecast instead"


def _epochs(n_events: int, n_seen: int) -> int:
    """With 3.2 million seen, 32 for a hundred thousand events, 10 for a million, 5 for ten."""
    least: float = EPOCHS_OF_A_MILLION * min(1.0, 1e6 / n_events) ** 0.3
    return min(80, round(max(n_seen / n_events, least)))


def _dropout(events_each: float) -> float:
    """The more is known of each item, the less must be kept from being learnt by heart."""
    return round(min(MOST_DROPOUT, max(LEAST_DROPOUT, DROPOUT_TIMES_EVENTS / max(1.0, events_each))), 2)


def _tied_share(dataset: Dataset) -> float:
    same_user = np.diff(dataset.events.users) == 0
    same_time = np.diff(dataset.events.times) == 0
    return float((same_user & same_time).sum() / max(1, same_user.sum()))


def _encoders(dataset: Dataset) -> tuple[str, ...]:
    frame = dataset.catalogue.frame
    numbers = [name for name in dataset.catalogue.features if _is_amount(frame[name])]
    words = [name for name in dataset.catalogue.features if name not in numbers and _repeats(frame[name])]
    encoders = ['{ name = "id" }']
    if texts := _texts(frame, words):
        encoders.append(f'{{ name = "text", columns = {json.dumps(texts)} }}')
    if words:
        encoders.append(f'{{ name = "categories", columns = {json.dumps(words)} }}')
    if numbers:
        encoders.append(f'{{ name = "numbers", columns = {json.dumps(numbers)} }}')
    return tuple(encoders)


def _texts(frame: pd.DataFrame, words: list[str]) -> list[str]:
    """Columns of text: titles with the categories, else free texts; none where nothing but categories is known.

    Long descriptions beside a title took .002 from NDCG@10 on validation events of Scientific.
    """
    if TITLE in frame and _is_text(frame[TITLE]):
        return [TITLE, *words]
    return [str(name) for name in frame if name not in (ITEM, DOMAIN, TITLE, *words) and _is_text(frame[name])]


def _is_text(column: pd.Series) -> bool:
    """True if most values have several words."""
    values = column.dropna().head(TITLES_READ)
    n_texts = sum(isinstance(cell, str) and len(re.findall(WORD, cell)) > 1 for cell in values)
    return n_texts > len(values) / 2


def _is_amount(column: pd.Series) -> bool:
    """True if the magnitude of a number means something; the numbers in `brand_id` are names."""
    return bool(column.dtype.kind in "iuf" and NAMES.search(str(column.name)) is None)


def _repeats(column: pd.Series) -> bool:
    """True if items share values, counting elements of lists and of "Action|Comedy"; free text shares few."""
    values = [text for cell in column.dropna() for value in _values(cell) if (text := str(value).strip())]
    return len(set(values)) < 0.5 * len(values)


def _values(cell: Any) -> Iterable[Any]:
    if isinstance(cell, str):
        return cell.split("|")
    return cell if isinstance(cell, Iterable) else [cell]


def _rating_line(dataset: Dataset | None) -> str:
    """A proposal to drop ratings that may stand for "none": 0 or less, where the others are all positive."""
    if dataset is None or not len(dataset.events.fields.get(RATING, ())):
        return ""
    ratings = dataset.events.fields[RATING].astype(np.float64)
    lowest, share = float(ratings.min()), float(np.mean(ratings <= 0))
    others = ratings[ratings > 0]
    if lowest not in (0, -1) or not len(others) or share < SOME_REPEATS:
        return ""
    why = f'{share:.0%} of the ratings are {lowest:g}, which may stand for "no rating"; this drops them'
    return f"# min_rating = {others.min():g}  # {why}\n"


def _cold_line(chosen: _Choices) -> str:
    if not chosen.n_cold:
        return ""
    kept = "true" if chosen.cold_items else "false"
    return f"cold_items = {kept}  # {chosen.n_cold:,} items of the items table have no events; content places them\n"


def _aligned(text: str) -> str:
    """The text with the comments behind its lines in one column."""
    lines = []
    for line in text.splitlines():
        code, mark, comment = line.partition("  # ")
        lines.append(f"{code.rstrip():<30} # {comment.lstrip()}" if mark and code.strip() else line)
    return "\n".join(lines) + "\n"


class Sequential(Preset):
    """Next items by a network and co-occurrence counts, sized by the data; without order a bag of items and EASE."""

    name = "sequential"
    is_default = True

    def sections(self, dataset: Dataset | None) -> str:
        chosen = UNKNOWN if dataset is None else _choices(dataset)
        is_ordered = chosen.split != "random"
        scorers = ["cooccurrence"] if is_ordered else _orderless(_n_frequent(dataset, chosen.min_events))
        model = _network(chosen) if is_ordered else _without_order(chosen, scorers)
        baselines = ", ".join(f'"{name}"' for name in ["popularity", *scorers])
        return _aligned(f"""\
[prepare]
keep = "{chosen.keep}"  # {chosen.why_keep}
min_user_events = {chosen.min_events}  # users and items with fewer events are dropped, until nothing changes
min_item_events = {chosen.min_events}
{_cold_line(chosen)}{_rating_line(dataset)}
[split]
name = "{chosen.split}"  # {chosen.why_split}

{model}
[evaluate]
exclude_seen = {"false" if chosen.keep == "all" else "true"}  # of the history; exports do as evaluation
{VALIDATION_LINE}metrics = ["hr@10", "ndcg@10", "coverage@10"]
baselines = [{baselines}]
""")


def _n_frequent(dataset: Dataset | None, least: int) -> int:
    """Number of items with so many events."""
    return 0 if dataset is None else int((np.bincount(dataset.events.items) >= least).sum())


def _orderless(n_items: int) -> list[str]:
    """Scorers that read no order; EASE where its pairs of items fit into memory."""
    return ["ease", "item_knn"] if n_items <= MOST_DENSE_ITEMS else ["item_knn"]


def _without_order(chosen: _Choices, scorers: Sequence[str]) -> str:
    """A network over bags of items beside such scorers, for a log whose order is unknown."""
    blend = ", ".join(f'{{ name = "{name}" }}' for name in scorers)
    epochs = UNORDERED_EPOCHS * chosen.epochs
    return f"""\
[model]
width = 256  # length of all vectors
max_length = {chosen.longest}  # newest history items that are read
dropout = 0.2
encoders = [  # what item vectors are made of
    {_listed(chosen.encoders)},
]
backbone = {{ name = "bag", n_layers = 1, dropout = 0.5 }}  # reads no order, which this log has not
blend = [{blend}]  # weighted by validation events

[[stages]]
name = "train"
tasks = [{{ name = "masked_item", share = 0.6, last_share = 0.0 }}]  # find three fifths of a history from the others
epochs = {epochs}
validate_every = {max(1, epochs // 5)}  # the best of these epochs is kept
optimiser = {{ learning_rate = 2e-3 }}
"""


def _listed(encoders: Sequence[str]) -> str:
    return ",\n    ".join(encoders)


def _network(chosen: _Choices) -> str:
    """A network of filters beside co-occurrence counts."""
    return f"""\
[model]
width = {chosen.width}  # length of all vectors
max_length = {chosen.max_length}  # newest history items that are read
dropout = {chosen.dropout}
encoders = [  # what item vectors are made of
    {_listed(chosen.encoders)},
]
unit_items = true  # item vectors of length one
backbone = {{ name = "filter", n_layers = 2, dropout = {chosen.dropout}, feedforward = {chosen.feedforward} }}
blend = [{{ name = "cooccurrence", content = "all", n_neighbours = 100 }}]  # weighted by validation events

[[stages]]
name = "train"
tasks = [{{ name = "next_item" }}]  # the loss follows the size of the catalogue; name one with loss = {{ name = "…" }}
epochs = {chosen.epochs}
validate_every = {max(1, chosen.epochs // 5)}  # the best of these epochs is kept
optimiser = {{ learning_rate = 2e-3 }}
"""
