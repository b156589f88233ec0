"""The conformance kit over every registered part."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
from published_files import CASES, written

from p5core.plugins.registry import Registry
from p5core.testing import Case

EVENTS = pd.DataFrame(
    {
        "user": [1, 1, 1, 2, 2, 3],
        "item": [10, 11, 12, 11, 10, 12],
        "rating": [1.0, 5.0, 3.0, 4.0, 2.0, 5.0],
        "timestamp": [1_600_000_000 + day * 86_400 for day in range(6)],
    }
)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """(kind, name) → options of the parts that cannot do without."""
    folder = tmp_path_factory.mktemp("data")
    EVENTS.to_csv(folder / "events.csv", index=False)
    EVENTS.to_csv(folder / "u.data", index=False, header=False, sep="\t")
    (folder / "u.item").write_text("\n".join(f"{item}|Film (1999)|||" + "|1" * 19 for item in (10, 11, 12)))
    (folder / "u.user").write_text("\n".join(f"{user}|30|F|writer|12345" for user in (1, 2, 3)))
    (folder / "lines.txt").write_text("1 10 11 12\n2 11 10\n3 12\n")
    with sqlite3.connect(folder / "shop.db") as shop:
        EVENTS.to_sql("events", shop, index=False)
    published = {}
    for name, case in CASES.items():
        (folder / name).mkdir()
        published["loader", case.loader] = {"path": str(written(folder / name, case.files))}
    article = {"user_id": [7, 8], "impression_time": pd.to_datetime(["2023-05-20", "2023-05-21"]),
               "article_ids_inview": [[1, 2], [4]], "article_ids_clicked": [[2], [4]]}  # fmt: skip
    (folder / "ebnerd").mkdir()
    pd.DataFrame(article).to_parquet(folder / "ebnerd" / "behaviors.parquet")
    return {
        **published,
        ("loader", "ebnerd"): {"path": str(folder / "ebnerd")},
        ("encoder", "categories"): {"columns": ["genres", "tags"]},
        ("encoder", "numbers"): {"columns": ["price", "year"]},
        ("encoder", "text"): {"columns": ["genres", "tags"]},
        ("encoder", "vectors"): {"column": "sound"},
        ("task", "bayesian_fm"): {"rank": 2, "burn_in": 1},
        ("loader", "dataframe"): {"interactions": EVENTS},
        ("loader", "movielens"): {"path": str(folder)},
        ("loader", "sequences"): {"path": str(folder / "lines.txt")},
        ("loader", "sql"): {"url": f"sqlite:///{folder / 'shop.db'}", "query": "SELECT * FROM events"},
        ("loader", "synthetic"): {"n_users": 20, "n_items": 20, "n_events": 200, "n_clusters": 4},
        ("loader", "table"): {"path": str(folder / "events.csv")},
    }


def test_every_part_keeps_its_promises(
    p5_registry: Registry, p5_case: Case, examples: Mapping[tuple[str, str], Mapping[str, Any]]
) -> None:
    p5_case.run(p5_registry, examples.get(p5_case.part, {}))
