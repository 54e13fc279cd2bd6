"""From a workspace to a running service."""

from __future__ import annotations

from segue import assembly
from segue.serve.service import Service
from segue.store import works
from segue.store.workspace import Workspace
from segue.understanding import wording_of


def open_service(workspace: Workspace) -> Service:
    """All that serving needs; before the first training only catalogue and search answer."""
    settings = assembly.read_settings(workspace)  # a wrong key is told now, not at a request
    stored = works.load_works(workspace.engine)
    encoder = assembly.champion_encoder(workspace)
    content = works.content_of_works(assembly.load_content(workspace, stored.nums, encoder), stored)
    wording = wording_of(workspace)
    return Service(
        workspace=workspace,
        catalogue=stored,
        recommender=assembly.load_champion(workspace, stored.catalogue, content),
        behaviour=settings.behaviour,
        profile_use=settings.profile.use,
        history_limit=settings.history_limit,
        contact=settings.contact,
        explore=settings.explore,
        search=None if content is None else assembly.open_search(stored.catalogue, content),
        content=content,
        scene_search=assembly.open_scene_search(workspace),
        reword=None if wording is None else wording.reword,
    )
