"""RecTools' SASRec, trained epoch by epoch for some minutes; runs in RecTools' own environment (see peers.py).

    python peers_rectools.py EVENTS.npz LISTS.npz MINUTES EVERY

EVENTS holds `train` and `validation`, each (N, 2) user and item in order of time. After each epoch whose training
time crosses a multiple of EVERY seconds, and at the end, the ten best items of each user are written beside the seconds
spent in training so far; last those for test, with validation events in the histories.
"""

import sys
import time
import warnings

import numpy as np
import pandas as pd
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

warnings.filterwarnings("ignore")


def dataset_of(events):
    """RecTools' data set of (user, item) pairs in order of time."""
    frame = pd.DataFrame({Columns.User: events[:, 0], Columns.Item: events[:, 1], Columns.Weight: 1.0})
    frame[Columns.Datetime] = pd.Timestamp(2020, 1, 1) + pd.to_timedelta(np.arange(len(frame)), unit="s")
    return Dataset.construct(frame)


def lists_of(model, dataset):
    """(U, 10) items for users 0 to U - 1, -1 where there are fewer."""
    users = np.unique(dataset.user_id_map.external_ids)
    recommended = model.recommend(users=users, dataset=dataset, k=10, filter_viewed=True)
    lists = np.full((users.max() + 1, 10), -1)
    lists[recommended[Columns.User], recommended[Columns.Rank] - 1] = recommended[Columns.Item]
    return lists


def main():
    """Train, recommend, write."""
    events, output, minutes, every = np.load(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
    train = dataset_of(events["train"])
    both = dataset_of(np.concatenate([events["train"], events["validation"]]))
    model = SASRecModel(session_max_len=50, loss="softmax", epochs=1, deterministic=False, verbose=0)
    spent, epochs, marks, answering, lists = 0.0, 0, [], [], []
    while spent < 60 * minutes:
        began = time.perf_counter()
        model.fit_partial(train, min_epochs=1, max_epochs=1)
        before, spent = spent, spent + time.perf_counter() - began
        epochs += 1
        if before // every != spent // every or spent >= 60 * minutes:
            began = time.perf_counter()
            lists.append(lists_of(model, train))
            answering.append(time.perf_counter() - began)
            marks.append(spent)
            print(f"epoch {epochs}, {spent:.0f} s of training", flush=True)
    test = lists_of(model, both)
    np.savez(output, seconds=marks, answering=answering, lists=np.stack(lists), test=test, epochs=epochs)


main()
