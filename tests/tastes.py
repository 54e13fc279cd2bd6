"""People whose taste is known by construction."""

from __future__ import annotations

import numpy as np

from segue.core.types import Catalogue, Interactions, Item, Profile, Training

N_USERS, N_ITEMS, N_EVENTS = 80, 60, 2400


def two_tastes(seed: int = 0) -> Training:
    """Each person consumes their half of the catalogue nine times out of ten."""
    rng = np.random.default_rng(seed)
    users = rng.integers(0, N_USERS, N_EVENTS)
    own = rng.random(N_EVENTS) < 0.9
    half = np.where(own, users % 2, 1 - users % 2)
    items = 2 * rng.integers(0, N_ITEMS // 2, N_EVENTS) + half
    interactions = Interactions(
        users=users,
        items=items,
        weight=np.ones(N_EVENTS, dtype=np.float32),
        time=np.sort(rng.random(N_EVENTS)) * 100 * 86_400,
        n_users=N_USERS,
        n_items=N_ITEMS,
    )
    catalogue = Catalogue(tuple(Item(str(i), "movie", f"film {i}") for i in range(N_ITEMS)))
    at = float(interactions.time[-1]) + 1
    return Training(catalogue, interactions, (Profile(),) * N_USERS, None, at)
