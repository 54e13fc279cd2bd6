"""The registry of models: one champion at a time."""

from segue.store import models
from segue.store.workspace import Workspace


def test_a_new_champion_retires_the_former_one(tmp_path):
    engine = Workspace.create(tmp_path).engine
    assert models.champion(engine) is None
    for version in ("v1", "v2", "v1"):
        models.put_champion(
            engine,
            version=version,
            strategy="blend",
            path=version,
            data_hash="d",
            metrics={"ndcg@10": 0.2},
        )
        found = models.champion(engine)
        assert found is not None
        assert (found.version, found.metrics) == (version, {"ndcg@10": 0.2})
    engine.dispose()
