"""Reasons in better words: a model may rephrase them, never change what they say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from segue.understand.remote import prompts
from segue.understand.remote.chat import Ask, Chat
from segue.understand.remote.checks import odd, same_facts
from segue.understand.remote.endpoint import NoAnswer

LANGUAGES = {"zh": "simplified Chinese", "en": "English"}
MOST = 20  # sentences a question
MOST_CHARS = 300  # of a sentence, old or new


class WordingForm(BaseModel):
    """What the model is to give back."""

    model_config = ConfigDict(extra="forbid")
    reasons: list[str]


@dataclass(frozen=True)
class Wording:
    """Rewords reasons; one that lost a title or a number stays as it was."""

    chat: Chat

    def reword(
        self, reasons: Sequence[str], language: str, titles: Sequence[str] = ()
    ) -> list[str]:
        """As many sentences as there are reasons, in order.

        ``language`` is a BCP 47 tag. ``titles`` of items must survive wherever they stand; what
        is in quotation marks or 《》 must anyway.
        """
        out = list(reasons)
        rows = [n for n, reason in enumerate(out) if 0 < len(reason) <= MOST_CHARS]
        blocks = [rows[at : at + MOST] for at in range(0, len(rows), MOST)]
        into = LANGUAGES.get(language.partition("-")[0].lower(), language[:35])
        asks = [self._ask([prompts.clean(out[n]) for n in block], into) for block in blocks]
        answers = self.chat.ask(prompts.WORDING_VERSION, asks)
        for block, answer in zip(blocks, answers, strict=True):
            if isinstance(answer, NoAnswer) or len(answer.reasons) != len(block):
                continue
            for n, new in zip(block, answer.reasons, strict=True):
                new = " ".join(new.split())
                # Compared with itself: the language may change here.
                fit = new and not odd(new, new, MOST_CHARS)
                if fit and same_facts(new, out[n], titles):
                    out[n] = new
        return out

    @staticmethod
    def _ask(reasons: list[str], into: str) -> Ask[WordingForm]:
        said = json.dumps(reasons, ensure_ascii=False)
        content = hashlib.sha256(f"{into} {said}".encode("utf-8", "replace")).hexdigest()
        system = prompts.WORDING.format(language=into)
        return Ask(system, said, WordingForm, content, max_tokens=80 * len(reasons) + 50)
