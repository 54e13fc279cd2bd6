"""Fit one strategy on MovieLens-100K and ask it about somebody it has never met."""

import tempfile

from segue import datasets
from segue.assembly import load_training
from segue.core.types import Histories, Profile
from segue.ingest.tables import import_table
from segue.recommend.registry import make
from segue.store.workspace import Workspace

films = datasets.get("movielens-100k")
with tempfile.TemporaryDirectory() as folder:
    workspace = Workspace.create(folder)
    for what, suffix in (("items", "item"), ("users", "user"), ("events", "inter")):
        import_table(workspace, what, [films / f"ml-100k.{suffix}"], preset="movielens-100k")
    training = load_training(workspace)
    workspace.engine.dispose()

strategy = make("linear")
strategy.fit(training)
liked = training.catalogue.rows(["50", "172"])  # Star Wars, The Empire Strikes Back
history = Histories.of_one(liked, [1.0, 1.0], [training.at] * 2, len(training.catalogue))
scores = strategy.scores(history, [Profile()], training.at)[0]
scores[liked] = float("-inf")
for row in scores.argsort()[::-1][:5]:
    print(f"{scores[row]:.2f}  {training.catalogue.items[row].title}")
