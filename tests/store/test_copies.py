"""What a person says of two items stays."""

import pytest
import sqlalchemy as sa

from segue.core.errors import NotFound
from segue.core.types import Item
from segue.store import schema
from segue.store.catalogue import put_items
from segue.store.copies import decide, list_copies
from segue.store.workspace import Workspace


@pytest.fixture
def engine(tmp_path):
    made = Workspace.create(tmp_path)
    put_items(made.engine, [Item(i, "video", i.upper()) for i in "abc"])
    with made.engine.begin() as connection:
        for other, score in ((2, 0.6), (3, 0.9)):
            connection.execute(
                sa.insert(schema.copies).values(
                    item_num=1, other_num=other, score=score, evidence={"title": score},
                    status="proposed",
                )
            )  # fmt: skip
    yield made.engine
    made.engine.dispose()


def told(engine):
    return [(r.first, r.second, r.score, r.status) for r in list_copies(engine)]


def test_pairs_come_surest_first_and_decisions_in_either_order(engine):
    assert told(engine) == [("a", "c", 0.9, "proposed"), ("a", "b", 0.6, "proposed")]
    decide(engine, "c", "a", "different")
    assert told(engine) == [("a", "c", 0.9, "different"), ("a", "b", 0.6, "proposed")]
    decide(engine, "b", "c", "same")  # nobody proposed it
    assert told(engine)[0] == ("b", "c", 1.0, "same")


@pytest.mark.parametrize("pair", [("a", "x"), ("a", "a")])
def test_what_is_no_pair_is_refused(engine, pair):
    with pytest.raises(NotFound):
        decide(engine, *pair, "same")
    assert len(told(engine)) == 2
