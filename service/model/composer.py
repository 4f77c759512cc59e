"""The embedding of a text from the states of its parts: what an associative encoder can do, and a transformer cannot.

The state of a text is [mean of its vectors | unit(F1 @ F2 @ ...) | unit(... @ R2 @ R1)]. Of a text in parts, it is the
mean of the parts' means weighted by their tokens, the unit product of their forward products in order, and that of
their backward products in reverse order, since unit(A @ B) = unit(unit(A) @ unit(B)).

Letters: B parts, d matrix side, e vector size, D = e + 2 d^2 state size, m similarity width.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from cmow.service.errors import BundleError, InferenceError, InvalidStateError
from cmow.service.model.bundle import PROJECTION, Bundle, Dims
from cmow.service.model.engine import PROBE, Engine, Floats, with_itself
from cmow.service.model.session import CPU, ORT_ERRORS, Tensor, check_signature, session_options
from cmow.service.text.tokenizer import PackedTokens

Doubles = NDArray[np.float64]

LARGEST = 1e6  # of a number in a state; trained vectors stay below 10
NORM_TOLERANCE = 1e-3  # relative, of a unit product
PROJECTION_TOLERANCE = 1e-3  # of a number in a unit embedding; on a GPU scores agree no better


@dataclass(frozen=True)
class State:
    """A text of ``tokens`` tokens as ``values`` [D], float32 but while states are composed."""

    values: NDArray[np.floating]
    tokens: int


def compose(states: Iterable[State], dims: Dims) -> State:
    """The state of the texts of ``states``, joined in this order; computed in float64."""
    joined = reduce(lambda left, right: _join(left, right, dims), states)
    return State(joined.values.astype(np.float32), joined.tokens)


def check_state(state: State, dims: Dims, where: str) -> None:
    """Raise ``InvalidStateError`` unless the numbers [D] of ``state`` can be those of a state."""
    if not (np.abs(state.values) <= LARGEST).all():
        raise InvalidStateError(f"{where}: expected finite numbers up to {LARGEST:.0f}, got others", where)
    norms = np.linalg.norm(state.values[dims.vector_dim :].reshape(2, -1).astype(np.float64), axis=1)
    if not np.allclose(norms, np.sqrt(dims.matrix_dim), rtol=NORM_TOLERANCE, atol=0):
        raise InvalidStateError(f"{where}: expected two products of norm sqrt({dims.matrix_dim}), got others", where)


class Composer:
    """Composes and projects states of the model of ``engine``; any thread may call it.

    Raises ``BundleError`` where the bundle's projection cannot be loaded, or is another graph.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._projection = _open_projection(engine.bundle)

    def states(self, packed: PackedTokens) -> list[State]:
        """The states of the texts whose tokens are ``packed``."""
        values = self._engine.score("states", packed, with_itself(len(packed)))
        return [State(row, tokens) for row, tokens in zip(values, packed.lengths.tolist(), strict=True)]

    def embed(self, state: State) -> Floats:
        """Unit embedding [m] of ``state``; raises ``InferenceError``."""
        try:
            (embeddings,) = self._projection.run(["embeddings"], {"states": state.values[None]})
        except ORT_ERRORS as error:
            raise InferenceError(f"ONNX Runtime: {error}") from error
        embedding: Floats = np.asarray(embeddings, np.float32)[0]
        return embedding

    def check(self) -> None:
        """Raise ``InferenceError`` unless the state of a text gives the embedding of the text."""
        packed = self._engine.tokenizer.encode([PROBE[0][0]])
        composed, expected = self.embed(self.states(packed)[0]), self._engine.score("embed", packed, with_itself(1))[0]
        if not np.allclose(composed, expected, atol=PROJECTION_TOLERANCE):
            raise InferenceError(f"expected the embedding of {PROBE[0][0]!r} from its state, got another")


def _join(left: State, right: State, dims: Dims) -> State:
    tokens = left.tokens + right.tokens
    (a, forward_a, backward_a), (b, forward_b, backward_b) = _parts(left, dims), _parts(right, dims)
    mean = (a * left.tokens + b * right.tokens) / tokens
    products = _unit(forward_a @ forward_b).ravel(), _unit(backward_b @ backward_a).ravel()
    return State(np.concatenate([mean, *products]), tokens)


def _parts(state: State, dims: Dims) -> tuple[Doubles, Doubles, Doubles]:
    """Mean vector [e], forward and backward product [d, d]."""
    values = state.values.astype(np.float64)
    products = values[dims.vector_dim :].reshape(2, dims.matrix_dim, dims.matrix_dim)
    return values[: dims.vector_dim], products[0], products[1]


def _unit(product: Doubles) -> Doubles:
    """The matrix [d, d] scaled to the norm of the identity; a product that vanished stays 0."""
    norm = max(float(np.linalg.norm(product)), float(np.finfo(np.float32).tiny))
    scaled: Doubles = product * (np.sqrt(len(product)) / norm)
    return scaled


def _open_projection(bundle: Bundle) -> ort.InferenceSession:
    path = bundle.path / PROJECTION
    dims = bundle.manifest.dims
    try:
        session = ort.InferenceSession(str(path), session_options(1), providers=[CPU])
    except ORT_ERRORS as error:
        raise BundleError(f"{path}: ONNX Runtime cannot load it: {error}") from error
    states, embeddings = (Tensor("tensor(float)", (None, size)) for size in (dims.embedding_dim, dims.similarity_dim))
    check_signature(session, {"states": states}, {"embeddings": embeddings}, path)
    return session
