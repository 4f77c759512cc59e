"""DistilBERT behind the service's own HTTP layer: schema, checks, batcher, server and native tokeniser are the same.

    python -m loadtest.compare.sides.distilbert_server --port 8001 [--precision int8] [--threads 1]

It answers ``/similarity`` and ``/entailment`` with what its head gives, which means something only where that head is
trained (``python -m loadtest.compare --distilbert``). All other endpoints stay the student's.

Letters: P pairs, L tokens of the longest pair.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from cmow.service.model.bundle import Bundle, load_bundle
from cmow.service.model.engine import Engine, EngineOptions, Floats, Ints, TaskName
from cmow.service.options.arguments import count
from cmow.service.options.defaults import BUNDLE
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from cmow.service.text.tokenizer import PackedTokens
from loadtest.compare.models import DISTILBERT, MODELS
from loadtest.compare.sides.head import Head
from loadtest.compare.sides.padding import MAX_TOKENS, Feeds
from loadtest.compare.sides.transformer import Transformer
from loadtest.harness.local_server import serve_locally


class JointEngine(Engine):
    """The service's engine, but that DistilBERT scores the pairs. Its WordPiece must have the bundle's ids."""

    def __init__(self, bundle: Bundle, models: Path, precision: str, options: EngineOptions) -> None:
        self._model = Transformer(models / DISTILBERT, precision, options.threads)
        self._head = Head.read(models)
        self._marks = self._model.tokenise.token_id("[CLS]"), self._model.tokenise.token_id("[SEP]")
        super().__init__(bundle, options)

    def score(self, task: TaskName, packed: PackedTokens, pairs: Ints) -> Floats:
        """Similarity: the first column of the logits, squeezed to 0 to 1 [P]. Entailment: probabilities [P, 3]."""
        if task not in ("similarity", "entailment"):
            return super().score(task, packed, pairs)
        logits = self._model.run("logits", joined(packed, pairs, *self._marks))
        if task == "entailment":
            return self._head.probabilities(logits)
        return np.asarray(1 / (1 + np.exp(-logits[:, 0])), np.float32)


def joined(packed: PackedTokens, pairs: Ints, first: int, between: int) -> Feeds:
    """``pairs`` [P, 2] as ``[CLS] one [SEP] other [SEP]``, int64 [P, L]; each side is cut to half the positions."""
    most = (MAX_TOKENS[DISTILBERT] - 3) // 2
    texts = [ids[:most] for ids in np.split(packed.token_ids, packed.cu_seqlens[1:-1])]
    rows = [np.concatenate([[first], texts[one], [between], texts[other], [between]]) for one, other in pairs]
    lengths = np.array([len(row) for row in rows])
    attention_mask = np.arange(max(lengths, default=0)) < lengths[:, None]
    token_ids = np.zeros(attention_mask.shape, np.int64)
    token_ids[attention_mask] = np.concatenate(rows)
    return {"token_ids": token_ids, "attention_mask": attention_mask.astype(np.int64)}


def main() -> None:
    """Serve it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--precision", choices=["fp32", "int8"], default="int8")
    parser.add_argument("--threads", type=count, default=1)
    options = parser.parse_args()
    engine_options = EngineOptions(threads=options.threads)
    engine = JointEngine(load_bundle(options.bundle), options.models, options.precision, engine_options)
    settings = Settings(port=options.port, threads=options.threads, bundle=options.bundle)
    serve_locally(create_app(settings, engine), settings)


if __name__ == "__main__":
    main()
