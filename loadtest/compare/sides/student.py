"""This student, through the service's engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from unittest.mock import patch

from cmow.service.machine import native
from cmow.service.model.bundle import ENCODER, load_bundle
from cmow.service.model.engine import Engine, EngineOptions, with_itself
from cmow.service.text.tokenizer import PackedTokens, Tokenizer
from export.graphs.session import bound_run, open_session
from loadtest.compare.side import Context, Side, Task

TASKS: frozenset[Task] = frozenset({"similarity", "entailment"})


def open_fused(context: Context) -> Side:
    """With the fused op; raises ``KernelError`` where it is not installed."""
    return student_side(_engine(context, require_fused_op=True))


def open_portable(context: Context) -> Side:
    """With the portable body, as where the install found no compiler; the tokeniser stays the native one."""
    with patch.object(native, "library_path", return_value=None):
        return student_side(_engine(context, require_fused_op=False))


def student_side(engine: Engine) -> Side:
    """What ``engine`` does."""
    library = native.library_path()
    files = sorted(engine.bundle.path / name for name in engine.bundle.manifest.files)

    def encoder(texts: Sequence[str], max_tokens: int) -> Callable[[], object]:
        packed = cut_tokens(engine, texts, max_tokens)
        inputs = {"token_ids": packed.token_ids, "cu_seqlens": packed.cu_seqlens}
        return bound_run(open_session(engine.bundle.path / ENCODER, library, engine.threads), inputs)

    return Side(
        files=files,
        embed=engine.embed,
        state=lambda texts: engine.score("states", engine.tokenizer.encode(texts), with_itself(len(texts))),
        encoder=encoder,
        any_length=True,
        similarity=partial(engine.answer, "similarity"),
        entailment=partial(engine.answer, "entailment"),
        relatedness=partial(engine.answer, "relatedness"),
        trained=TASKS,
    )


def cut_tokens(engine: Engine, texts: Sequence[str], max_tokens: int) -> PackedTokens:
    """``texts`` [B] as tokens, each cut to ``max_tokens``."""
    return Tokenizer(engine.bundle.tokenizer_path, max_tokens, engine.threads).encode(texts)


def _engine(context: Context, require_fused_op: bool) -> Engine:
    options = EngineOptions(threads=context.threads, require_fused_op=require_fused_op)
    return Engine(load_bundle(context.bundle), options)
