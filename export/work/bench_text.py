"""The work of ``export.bench.text``.

Every round times every contestant, one after the other, so that a busy moment of the machine hits all of them. Printed
are medians, and the best call: on a machine that others use too, what its own work takes. A contestant that works on
single texts is called once for each sentence of the batch.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from cmow.service.machine.native import library_path
from cmow.service.model.bundle import Bundle, load_bundle
from cmow.service.text.tokenizer import LibraryTokenizer, PackedTokens, Tokenizer
from export.bench.corpus import read_sentences
from export.bench.text import SPREAD, TextBenchConfig
from export.bench.timing import Contestants, interleave
from export.graphs.session import open_session
from export.ops.op_model import op_model
from export.ops.tables import bundle_tables
from export.work.bench import about_machine
from training.data.atomic import write_json
from training.errors import TrainingError

Encode = Callable[[list[str]], PackedTokens]


def fitting_sentences(config: TextBenchConfig) -> list[str]:
    """Real sentences of about the wanted number of words; repeated where there are too few."""
    fitting = [line for line in read_sentences(config.text) if abs(len(line.split()) - config.words) <= SPREAD]
    if not fitting:
        raise TrainingError(
            f"{config.text}: expected sentences of {config.words} words, give or take {SPREAD}, found none"
        )
    return [*islice(cycle(fitting), config.sentences)]


def contestants(bundle: Bundle, texts: list[str], threads: int) -> Contestants:
    """Both tokenisers on the batch, one by one, and before the encoder op."""
    native = Tokenizer(bundle.tokenizer_path, bundle.manifest.max_tokens, threads)
    if native.degraded is not None:
        raise TrainingError(f"expected the native tokeniser, but {native.degraded}")
    library = LibraryTokenizer(bundle.tokenizer_path, bundle.manifest.max_tokens, threads)
    encoders: dict[str, Encode] = {"native": native.encode, "Hugging Face": library.encode}
    packed = native.encode(texts)
    embed = embedder(bundle, packed, threads)
    runs: Contestants = {"tokens to embedding": partial(embed, packed)}
    for name, encode in encoders.items():
        runs[f"tokens, {name}"] = partial(encode, texts)
        runs[f"tokens one by one, {name}"] = partial(one_by_one, encode, texts)
        runs[f"text to embedding, {name}"] = partial(embed_texts, encode, embed, texts)
    return runs


def embedder(bundle: Bundle, packed: PackedTokens, threads: int) -> Callable[[PackedTokens], object]:
    """The encoder op on the bundle's own tables."""
    library = library_path()
    if library is None:
        raise TrainingError("expected the native library (cmow_native/libhybrid_encode.so) to be installed, found none")
    tables = bundle_tables(bundle)[bundle.manifest.table_dtype]
    session = open_session(op_model(feeds(packed), constants=tables), library, threads)
    return lambda packed: session.run(None, feeds(packed))


def feeds(packed: PackedTokens) -> dict[str, Any]:
    """The op's inputs."""
    return {"token_ids": packed.token_ids, "cu_seqlens": packed.cu_seqlens}


def embed_texts(encode: Encode, embed: Callable[[PackedTokens], object], texts: list[str]) -> object:
    """Embeddings [B, D] of ``texts`` [B]."""
    return embed(encode(texts))


def one_by_one(encode: Encode, texts: list[str]) -> None:
    """Each text in a call of its own."""
    for text in texts:
        encode([text])


def summarise(seconds: Mapping[str, list[float]], sentences: int) -> dict[str, dict[str, float]]:
    """Microseconds a sentence, in the median and the best call, and sentences a second in both."""
    return {
        name: {
            "us": 1e6 * statistics.median(values) / sentences,
            "best_us": 1e6 * min(values) / sentences,
            "per_second": sentences / statistics.median(values),
            "best_per_second": sentences / min(values),
        }
        for name, values in seconds.items()
    }


def bench(config: TextBenchConfig) -> dict[str, Any]:
    """Time everything; raises ``BundleError`` where there is no bundle."""
    bundle, texts = load_bundle(config.bundle, verify_hashes=False), fitting_sentences(config)
    quick = contestants(bundle, texts, config.threads)
    about = about_machine(config.threads) | {"tokenizers": version("tokenizers")}
    results = summarise(interleave(quick, {}, config.rounds, 0), len(texts))
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(config).items()}
    return {"machine": about, "settings": settings, "results": results, "ratios": ratios(results)}


def ratios(results: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """How many times longer Hugging Face takes, in the median and the best call."""
    kinds = [name.removesuffix(", native") for name in results if name.endswith(", native")]
    pairs = {kind: (results[f"{kind}, Hugging Face"], results[f"{kind}, native"]) for kind in kinds}
    return {kind: {key: slow[key] / fast[key] for key in ("us", "best_us")} for kind, (slow, fast) in pairs.items()}


def print_report(report: Mapping[str, Any], config: TextBenchConfig) -> None:
    """The report for reading."""
    for key, value in report["machine"].items():
        print(f"{key}: {value}")
    print(f"\n{config.sentences} sentences of {config.words} words, give or take {SPREAD}, of {config.text}")
    print(f"{config.rounds} interleaved rounds; microseconds a sentence and sentences a second, median and best")
    print(f"\n{'':36}{'us':>10}{'best us':>10}{'1/s':>12}{'best 1/s':>12}")
    for name, row in report["results"].items():
        rates = f"{row['per_second']:12,.0f}{row['best_per_second']:12,.0f}"
        print(f"{name:36}{row['us']:10.2f}{row['best_us']:10.2f}{rates}")
    for name, ratio in report["ratios"].items():
        print(f"{name}: Hugging Face takes {ratio['us']:.1f} times as long (best: {ratio['best_us']:.1f})")


def main(config: TextBenchConfig) -> None:
    """Bench, print, and write JSON where asked to."""
    report = bench(config)
    print_report(report, config)
    if config.json is not None:
        write_json(config.json, report)
