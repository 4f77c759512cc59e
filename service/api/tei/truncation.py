"""What every request of text-embeddings-inference may say of long texts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cmow.service.model.work import LongTexts
from cmow.service.web.validation import Wire


class Truncation(Wire):
    """Long texts are cut, or refused."""

    truncate: bool | None = Field(False, description="cut a text that is too long instead of refusing it")
    truncation_direction: Literal["right", "Right"] | None = Field("right", description="the end that is cut")
    prompt_name: None = Field(None, description="this model has no prompts")

    @property
    def long_texts(self) -> LongTexts:
        """What becomes of texts beyond the limits."""
        return "cut" if self.truncate else "refuse"
