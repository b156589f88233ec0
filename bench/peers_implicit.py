"""Models of the library implicit, fitted once; runs in an environment of its own (see peers.py).

python peers_implicit.py EVENTS.npz LISTS.npz
"""

import sys
import time

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
from scipy.sparse import csr_matrix

MODELS = {
    "implicit: cosine of items": lambda: CosineRecommender(K=100),
    "implicit: BM25 of items": lambda: BM25Recommender(K=100),
    "implicit: ALS": lambda: AlternatingLeastSquares(factors=128, iterations=20, random_state=0),
}


def main():
    """Fit on training events, recommend for test with validation events in the histories."""
    events = np.load(sys.argv[1])
    shape = (events["n_users"].item(), events["n_items"].item())

    def matrix(*parts):
        pairs = np.concatenate([events[part] for part in parts])
        return csr_matrix((np.ones(len(pairs), np.float32), (pairs[:, 0], pairs[:, 1])), shape=shape)

    train, both = matrix("train"), matrix("train", "validation")
    rows = {}
    for name, build in MODELS.items():
        model = build()
        began = time.perf_counter()
        model.fit(train, show_progress=False)
        seconds = time.perf_counter() - began
        again = {"recalculate_user": True} if "ALS" in name else {}
        lists, _ = model.recommend(np.arange(shape[0]), both, N=10, filter_already_liked_items=True, **again)
        rows[f"{name}/lists"], rows[f"{name}/seconds"] = lists, seconds
    np.savez(sys.argv[2], **rows)


main()
