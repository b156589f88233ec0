"""Statistics of the items from training events."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from p5core.contracts.metric import ItemStatistics
from p5core.data.dataset import Events, distinct

__all__ = ["item_statistics"]


def item_statistics(events: Events, n_items: int) -> ItemStatistics:
    """Count users for each item; the vector of an item holds one equal entry for each of its users."""
    pairs = distinct(events.items.astype(np.int64) * events.n_users + events.users)
    items, users = np.divmod(pairs, max(1, events.n_users))
    counts = np.bincount(items, minlength=n_items)
    entries = (1 / np.sqrt(counts[items])).astype(np.float32)
    vectors = csr_array((entries, users, np.concatenate([[0], np.cumsum(counts)])), shape=(n_items, events.n_users))
    n_users = int(np.count_nonzero(np.diff(events.offsets)))
    return ItemStatistics(counts, n_users, vectors)
