"""What goes over the wire: requests, replies, and the one shape of every error."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from service.errors import SchemaError
from service.pairs import Sides

JSON_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
EXPECTED = "a string or a list of strings"
SHOWN = 40  # characters of a client's own field name that a message repeats


def _kind(value: object) -> str | None:
    match value:
        case str():
            return "text"
        case list():
            return "list"
        case _:
            return None


# Without the discriminator a wrong value gives an error for each branch, without fail_fast one for each entry.
Texts = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[str], Field(fail_fast=True), Tag("list")],
    Discriminator(_kind),
    Field(description="a sentence, or a list of sentences"),
]


class Wire(BaseModel):
    """Immutable, and closed: an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PairRequest(Wire):
    """Two fields with a text or a list of texts each; a text on one side is paired with every entry of the other."""

    def sides(self) -> Sides:
        """Both fields with their names."""
        left, right = type(self).model_fields
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


class EntailmentRequest(PairRequest):
    """Premises, and hypotheses that may follow from them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"premise": "A man is playing a guitar.", "hypothesis": ["Someone makes music.", "It rains."]}]
        }
    )

    premise: Texts
    hypothesis: Texts


class Usage(Wire):
    """What the request took."""

    tokens: int = Field(description="tokens encoded; a sentence that the request repeats is encoded once")
    truncated: list[bool] = Field(
        description="for each pair, whether one of its sentences was cut to the model's limit"
    )


class SimilarityResponse(Wire):
    """Cosines in the order of the pairs."""

    scores: list[float] = Field(description="cosine of each pair, from -1 to 1")
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


class Info(Wire):
    """What serves, and how."""

    model: ModelInfo
    kernel: str = Field(description='"fused" with its instruction set, or "portable"')
    execution_provider: str
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


M = TypeVar("M", bound=Wire)


def parse(model: type[M], payload: Any) -> M:
    """``payload`` as a ``model``; raises a ``SchemaError`` that never repeats the client's values."""
    if not isinstance(payload, dict):
        raise SchemaError(f"expected an object with {_fields(model)}, got {_name(payload)}")
    # Before pydantic, which would list every single one.
    for key in payload:
        if key not in model.model_fields:
            raise SchemaError(f"expected only {_fields(model)}, got a field {key[:SHOWN]!a}", ascii(key[:SHOWN])[1:-1])
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        raise _translate(error) from None  # the original holds the client's values


def _translate(error: ValidationError) -> SchemaError:
    """The first of pydantic's errors in our words."""
    first = error.errors(include_url=False)[0]
    field, *position = (part for part in first["loc"] if part not in ("text", "list"))
    where = str(field) + "".join(f"[{index}]" for index in position)
    if first["type"] == "missing":
        return SchemaError(f"{where}: expected {EXPECTED}, got no such field", where)
    expected = "a string" if position else EXPECTED
    return SchemaError(f"{where}: expected {expected}, got {_name(first['input'])}", where)


def _fields(model: type[Wire]) -> str:
    return " and ".join(model.model_fields)


def _name(value: object) -> str:
    return JSON_NAMES.get(type(value), "null")
