"""What goes over the wire: requests, replies, and the one shape of every error."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from cmow.service.model.work import Scored, UnknownTexts
from cmow.service.text.pairs import Sides
from cmow.service.web.validation import TAG, Wire


def _kind(value: object) -> str | None:
    match value:
        case str():
            return TAG + "text"
        case list():
            return TAG + "list"
        case _:
            return None


def _whole(value: object) -> object:
    """JSON has no integers: 2.0 is the number 2, and some clients write it so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Integral = BeforeValidator(_whole)  # after the bounds, which OpenAPI would miss behind it
Whole = Annotated[int, Integral]
PositiveWhole = Annotated[int, Field(gt=0), Integral]

# What OpenAPI says of texts and lists that must not be empty: not blank, nor of characters alone that no model reads
# (controls, marks, private use). The service itself knows more of these, and says it better.
READABLE = r"[^\s\u0000-\u001f\u007f-\u009f\u00ad\u0300-\u036f\ue000-\uf8ff\ufffd]"
Text = Annotated[str, WithJsonSchema({"type": "string", "minLength": 1, "pattern": READABLE})]
TextItems = Annotated[list[Text], Field(fail_fast=True, json_schema_extra={"minItems": 1})]

# Without the discriminator a wrong value gives an error for each branch, without fail_fast one for each entry.
_BY_KIND = Discriminator(_kind, custom_error_type="texts", custom_error_message="a string or a list of strings")
Texts = Annotated[
    Annotated[Text, Tag(TAG + "text")] | Annotated[TextItems, Tag(TAG + "list")],
    _BY_KIND,
    Field(description="a sentence, or a list of sentences"),
]
EmptyOrTexts = Annotated[
    Annotated[str, Tag(TAG + "text")]
    | Annotated[list[str], Field(fail_fast=True, json_schema_extra={"minItems": 1}), Tag(TAG + "list")],
    _BY_KIND,
    Field(description="a text, or a list of texts, which may be empty"),
]


OnUnknown = Annotated[
    UnknownTexts,
    Field(
        description="a sentence of which the model knows no token (emoji, other scripts): flag in `usage`, or refuse"
    ),
]


class PairRequest(Wire):
    """Two fields first with a text or a list of texts each; a text is paired with every entry of the other side."""

    def sides(self) -> Sides:
        """Both sides with the names of their fields."""
        left, right, *_ = type(self).__pydantic_fields__
        return Sides(getattr(self, left), getattr(self, right), (left, right))


class SimilarityRequest(PairRequest):
    """Sentences to compare."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"sentence1": "A man is playing a guitar.", "sentence2": ["Someone makes music.", "It rains."]}
            ]
        }
    )

    sentence1: Texts
    sentence2: Texts
    mode: Literal["cosine", "paraphrase", "relatedness"] = Field(
        default="cosine",
        description="score by the cosine, by the probability that both say the same, "
        "or by how related people would call them",
    )
    threshold: float | None = Field(
        default=None, ge=-1, le=1, description="reply also whether each score is at least this one"
    )
    on_unknown: OnUnknown = "flag"


class EntailmentRequest(PairRequest):
    """Premises, and hypotheses that may follow from them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"premise": "A man is playing a guitar.", "hypothesis": ["Someone makes music.", "It rains."]}]
        }
    )

    premise: Texts
    hypothesis: Texts
    on_unknown: OnUnknown = "flag"


class Usage(Wire):
    """What the request took."""

    tokens: int = Field(description="tokens encoded; a sentence that the request repeats is encoded once")
    unknown: int = Field(description="those of them that the model's vocabulary lacks")
    truncated: list[bool] = Field(
        description="for each pair, whether one of its sentences was cut to the model's limit"
    )
    unread: list[bool] = Field(
        description="for each pair, whether the model knows no token of one of its sentences: its scores say nothing"
    )

    @classmethod
    def of(cls, scored: Scored) -> Usage:
        """What ``scored`` took."""
        return cls(tokens=scored.tokens, unknown=scored.unknown, truncated=scored.truncated, unread=scored.unread)


class SimilarityResponse(Wire):
    """Scores in the order of the pairs."""

    scores: list[float] = Field(
        description="of each pair: cosine, from -1 to 1, or probability of a paraphrase or relatedness, from 0 to 1"
    )
    same: list[bool] | None = Field(
        default=None, description="with a threshold alone: of each pair, whether its score is at least that"
    )
    model: str
    usage: Usage


class EntailmentScores(Wire):
    """Probabilities that sum to 1."""

    entailment: float
    neutral: float
    contradiction: float


class EntailmentResult(Wire):
    """One pair."""

    label: str = Field(description="the most probable of the labels")
    scores: EntailmentScores


class EntailmentResponse(Wire):
    """Results in the order of the pairs."""

    results: list[EntailmentResult]
    model: str
    usage: Usage


class Health(Wire):
    """The service is alive, or ready."""

    status: str = "ok"


class ModelInfo(Wire):
    """What is served."""

    name: str
    created: str
    sha256: dict[str, str] = Field(description="digest of each file of the bundle")
    labels: list[str]
    similarity_dim: int
    table_dtype: str
    max_tokens: int = Field(description="tokens of the longest sentence that is not cut")
    paraphrase_threshold: float = Field(description="cosine from which a pair counts as a paraphrase")


class Limits(Wire):
    """What one request may hold."""

    max_pairs: int
    max_text_chars: int
    max_body_bytes: int
    max_request_tokens: int


class Info(Wire):
    """What serves, and how."""

    model: ModelInfo
    kernel: str = Field(description='"fused" with its instruction set, or "portable"')
    tokenizer: str = Field(description='"native", or "tokenizers" where Hugging Face takes all texts')
    execution_provider: str
    execution_provider_reason: str = Field(description="why it is this one, and which runs it takes")
    threads: int
    limits: Limits
    versions: dict[str, str]
    degraded: list[str] = Field(description="what is worse than it should be")


class ErrorDetail(Wire):
    """One error."""

    type: str
    message: str
    param: str | None = Field(description="the field at fault, as in `sentence2[3]`")


class ErrorResponse(Wire):
    """The body of every reply that is not a success."""

    error: ErrorDetail
