"""What clients of OpenAI, vLLM, Cohere, Jina and infinity send beside their texts.

A field that one of these APIs documents and that changes nothing here is ``Ignored``; any other is an error, since an
answer that does not heed what was asked for would mislead.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from cmow.service.model.work import LongTexts
from cmow.service.web.schemas import Integral
from cmow.service.web.validation import Wire

Ignored = Annotated[Any, Field(description="ignored: changes nothing here")]


class ClientRequest(Wire):
    """Which model, and what becomes of long texts."""

    model: str | None = Field(None, description="one of the served model's names, or nothing")
    truncate: bool | None = Field(False, description="cut a text that is too long instead of refusing it")
    truncate_prompt_tokens: Annotated[int, Field(ge=-1), Integral] | None = Field(
        None, description="cut each text to so many tokens; -1: to the model's limit"
    )
    truncation_side: Literal["right"] | None = Field(None, description="the end that is cut")
    add_special_tokens: Ignored = None
    priority: Ignored = None
    request_id: Ignored = None
    user: Ignored = None

    @property
    def long_texts(self) -> LongTexts:
        """What becomes of texts beyond the limits."""
        return "cut" if self.truncate or self.truncate_prompt_tokens is not None else "refuse"
