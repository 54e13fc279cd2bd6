"""The training loop: right answers, exact resuming after a kill, early stop, seeds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from contracts.strategy_contract import DAY_S, checkerboard
from segue.core.errors import BadPackage, BadSettings
from segue.recommend.deep import weights
from segue.recommend.deep.loop import History, Optimiser, mark, seeded, train

X = torch.linspace(-1, 1, 64).reshape(32, 2)
Y = X @ torch.tensor([[2.0], [-3.0]]) + 0.5


class Stop:
    """A watcher that notes what it sees and stops the training at one epoch."""

    def __init__(self, at: int = 10**6) -> None:
        self.at, self.seen = at, []

    def epoch(self, name: str, step: int, scalars: Mapping[str, float]) -> bool:
        self.seen.append((name, step, dict(scalars)))
        return step < self.at


def fitted(net: nn.Module | None = None, epochs: int = 6, pause_s: float = 0.0, **more):
    """A net with dropout, trained on a line in shuffled batches."""
    seeded(3)
    net = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.2), nn.Linear(8, 1)) if net is None else net

    def steps(epoch: int, rng: np.random.Generator) -> Iterator[Tensor]:
        for at in np.split(rng.permutation(len(X)), 4):
            time.sleep(pause_s)
            yield ((net(X[at]) - Y[at]) ** 2).mean()

    settings = {"optimiser": Optimiser(rate=0.03), "seed": 7, "name": "line", **more}
    return net, train(net, epochs=epochs, steps=steps, **settings)


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("kind", ["adamw", "adafactor", "sgd"])
def test_every_optimiser_finds_the_line(kind: str) -> None:
    rate = {"adamw": 0.1, "adafactor": 0.3, "sgd": 0.1}[kind]
    net, history = fitted(nn.Linear(2, 1), 60, optimiser=Optimiser(kind, rate, clip=0))
    assert history.loss[-1] < 0.01 < history.loss[0]
    assert net(torch.zeros(1, 2)).item() == pytest.approx(0.5, abs=0.1)


def test_decay_draws_the_weights_towards_zero() -> None:
    norms = []
    for decay in (0.0, 3.0):
        net, _ = fitted(nn.Linear(2, 1), 30, optimiser=Optimiser(rate=0.1, decay=decay))
        norms.append(net.weight.norm().item())
    assert norms[1] < 0.8 * norms[0]


def test_the_rate_fades_to_its_share() -> None:
    optimiser = Optimiser(rate=0.1, fade=0.01)
    assert optimiser.rate_at(0, 5) == pytest.approx(0.1)
    assert optimiser.rate_at(2, 5) == pytest.approx(0.01)
    assert optimiser.rate_at(4, 5) == pytest.approx(0.001)


def test_a_part_of_the_net_can_learn_slower(tmp_path: Path) -> None:
    first = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.2), nn.Linear(8, 1))
    start = {name: value.clone() for name, value in first.state_dict().items()}
    moved = []
    for share in (1.0, 1e-3):
        net = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.2), nn.Linear(8, 1))
        net.load_state_dict(start)
        fitted(net, slow={"0.": share})
        moved.append([float((v - start[n]).abs().max()) for n, v in net.state_dict().items()])
    assert moved[1][0] < 0.01 * moved[0][0]
    assert moved[1][2] > 0.1 * moved[0][2]


def test_a_mark_names_settings_and_data() -> None:
    training = checkerboard()
    marks = [
        mark(settings, data)
        for settings in (Optimiser(), Optimiser(rate=0.1))
        for data in (training, training.before(2 * DAY_S))
    ]
    assert len(set(marks)) == 4
    assert marks[0] == mark(Optimiser(), checkerboard())


def test_one_seed_gives_one_result() -> None:
    assert same(fitted()[0], fitted()[0])
    assert not same(fitted()[0], fitted(seed=8)[0])


def test_a_watcher_sees_each_epoch_and_can_stop_it() -> None:
    watcher = Stop(at=2)
    _, history = fitted(watcher=watcher, valid=lambda: 1.0)
    assert [(name, step) for name, step, _ in watcher.seen] == [("line", n) for n in range(3)]
    assert set(watcher.seen[0][2]) == {"loss", "valid"}
    assert len(history.loss) == 3


def test_the_best_weights_are_kept_and_patience_ends_it() -> None:
    scores = iter([0.1, 0.5, 0.4, 0.3, 0.9])
    best, history = fitted(valid=lambda: next(scores), patience=2, epochs=5)
    assert (history.best, history.valid) == (1, (0.1, 0.5, 0.4, 0.3))
    assert same(best, fitted(watcher=Stop(at=1), epochs=5)[0])


@pytest.mark.parametrize("kind", ["adamw", "adafactor", "sgd"])
def test_a_training_cut_short_resumes_to_the_same_bits(kind: str, tmp_path: Path) -> None:
    class Broken(Exception):
        pass

    class Breaks(Stop):
        def epoch(self, name: str, step: int, scalars: Mapping[str, float]) -> bool:
            if step == 3:
                raise Broken
            return super().epoch(name, step, scalars)

    optimiser = Optimiser(kind, 0.02, decay=0.1, fade=0.1)
    path = tmp_path / "deep" / "line.ckpt"
    whole, straight = fitted(optimiser=optimiser)
    with pytest.raises(Broken):
        fitted(optimiser=optimiser, checkpoint=path, watcher=Breaks())
    assert path.exists()
    watcher = Stop()
    resumed, history = fitted(optimiser=optimiser, checkpoint=path, watcher=watcher)
    assert [step for _, step, _ in watcher.seen] == [3, 4, 5]
    assert same(whole, resumed)
    assert history == straight
    assert not path.exists()


def kept_by(watcher: Stop, path: Path, **more) -> History:
    with pytest.raises(KeyboardInterrupt):
        fitted(checkpoint=path, watcher=watcher)
    return fitted(checkpoint=path, **more)[1]


class Interrupts(Stop):
    def epoch(self, name: str, step: int, scalars: Mapping[str, float]) -> bool:
        if step == 2:
            raise KeyboardInterrupt
        return True


@pytest.mark.parametrize(
    "other", [{"seed": 8}, {"optimiser": Optimiser(rate=0.02)}, {"epochs": 7}, {"about": "x"}]
)
def test_a_checkpoint_of_other_settings_is_ignored(other: dict, tmp_path: Path) -> None:
    path = tmp_path / "line.ckpt"
    history = kept_by(Interrupts(), path, **other)
    assert history == fitted(**other)[1]


def test_a_damaged_checkpoint_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "line.ckpt"
    path.write_bytes(b"\x80\x04 not safetensors")
    assert same(fitted(checkpoint=path)[0], fitted()[0])


def test_kill_9_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "line.ckpt"
    code = (
        "import importlib.util, pathlib, sys\n"
        f"spec = importlib.util.spec_from_file_location('t', {__file__!r})\n"
        "t = importlib.util.module_from_spec(spec); spec.loader.exec_module(t)\n"
        "t.torch.set_num_threads(int(sys.argv[2]))\n"
        "t.fitted(checkpoint=pathlib.Path(sys.argv[1]), pause_s=0.05, epochs=1000)\n"
    )
    threads = str(torch.get_num_threads())
    command = [sys.executable, "-c", code, str(path), threads]
    tests = str(Path(__file__).parents[2])
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": tests})
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = len(json.loads(weights.read(path)[1]["course"])["losses"])
    watcher = Stop(at=done + 2)
    resumed, history = fitted(checkpoint=path, epochs=1000, watcher=watcher)
    assert [step for _, step, _ in watcher.seen] == [done, done + 1, done + 2]
    straight, whole = fitted(epochs=1000, watcher=Stop(at=done + 2))
    assert same(resumed, straight)
    assert history == whole


def test_a_loss_that_is_no_number_is_refused() -> None:
    def steps(epoch: int, rng: np.random.Generator) -> Iterator[Tensor]:
        yield net(X).mean() * float("nan")

    net = nn.Linear(2, 1)
    with pytest.raises(BadSettings, match="lower rate"):
        train(net, epochs=1, steps=steps, optimiser=Optimiser(), seed=0, name="n")


@pytest.mark.parametrize(
    "bad", [{"kind": "adam"}, {"rate": 0.0}, {"decay": -1.0}, {"clip": -1.0}, {"fade": 0.0}]
)
def test_an_optimiser_refuses_what_cannot_work(bad: dict) -> None:
    with pytest.raises(BadSettings):
        Optimiser(**bad)


def test_weights_survive_a_file_and_strange_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    net = nn.Linear(2, 1)
    arrays = {**weights.state_arrays(net, "a."), "names": np.array(["α", ""]), "n": np.array(3)}
    weights.write(path, arrays, {"by": "test"})
    back, metadata = weights.read(path)
    assert metadata == {"by": "test"}
    assert back["names"].tolist() == ["α", ""]
    assert back["n"] == 3
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    other = nn.Linear(2, 1)
    weights.load_arrays(other, back, "a.")
    assert same(net, other)
    with pytest.raises(BadPackage, match="other settings"):
        weights.load_arrays(nn.Linear(3, 1), back, "a.")
