"""Requests and answers about a person's taste."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from segue.core.types import Item
from segue.serve.schemas import Id, _Strict
from segue.serve.tastes import Said, ShownInterest
from segue.store.tastes import Edit

MAX_ITEMS = 400
Seconds = Annotated[float, Field(ge=0, description="Unix seconds")]


class EditIn(_Strict):
    """``more`` or ``less`` of an interest, named by its label, its items or both; or ``lent``:
    somebody else used the account from ``start`` to before ``end``."""

    kind: Literal["more", "less", "lent"]
    label: Annotated[str, Field(max_length=300)] = ""
    items: Annotated[list[Id], Field(max_length=MAX_ITEMS, default_factory=list)]
    start: Seconds | None = None
    end: Seconds | None = None

    def said(self) -> Said:
        return Said(self.kind, self.label, tuple(self.items), self.start, self.end)


class TasteItemOut(BaseModel):
    item_id: str
    title: str
    kind: str

    @staticmethod
    def of(item: Item) -> TasteItemOut:
        return TasteItemOut(item_id=item.id, title=item.title, kind=item.kind)


class EditOut(BaseModel):
    """An edit that holds; DELETE takes it back by its ``num``."""

    num: int
    kind: str
    label: str
    items: list[str]
    start: float | None
    end: float | None
    at: float

    @staticmethod
    def of(edit: Edit) -> EditOut:
        return EditOut(
            num=edit.num, kind=edit.kind, label=edit.label, items=list(edit.items),
            start=edit.start, end=edit.end, at=edit.at,
        )  # fmt: skip


class InterestOut(BaseModel):
    """``share`` of the person's taste is in (0, 1]; ``strength`` is how many liked items of today
    it is worth; ``edit`` is the wish that holds for it."""

    label: str
    share: float
    strength: float
    items: list[TasteItemOut]
    n_items: int
    edit: EditOut | None

    @staticmethod
    def of(shown: ShownInterest) -> InterestOut:
        first = len(shown.interest.representatives)
        return InterestOut(
            label=shown.interest.label,
            share=shown.interest.share,
            strength=shown.interest.strength,
            items=[TasteItemOut.of(item) for item in shown.items[:first]],
            n_items=len(shown.items),
            edit=None if shown.edit is None else EditOut.of(shown.edit),
        )


class TasteOut(BaseModel):
    interests: list[InterestOut]
    edits: list[EditOut]


class EditsOut(BaseModel):
    edits: list[EditOut]
