"""The work of ``training.teacher``.

writes ``sentences.txt`` (a sentence a line), ``targets.npy`` (float16 [rows, m], unit length), the teacher's
``tokenizer.json``, which the student shares, and ``state.json``; a killed run goes on where it stopped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tqdm import tqdm

from training.data.atomic import replace_bytes
from training.data.inputs import made_files, text_files
from training.data.recipe import Recipe, command_line
from training.data.sentences import distinct_sentences
from training.data.sources import sources_below, teacher_source
from training.loop.pace import Pace
from training.loop.parallel import one_process
from training.teacher import TeacherConfig
from training.teachers.blocks import blocks_of
from training.teachers.cache import TeacherCache, ensure_cache, read_state, write_state
from training.teachers.sentence import SentenceTeacher, save_tokenizer


def open_for_writing(config: TeacherConfig, dim: int) -> tuple[list[str], np.memmap[Any, Any], int]:
    """(sentences, writable targets, rows done): the cache in ``config.out``, made if it is not there.

    ``StaleError`` where it is one of other options or data.
    """
    options = {name: getattr(config, name) for name in ("teacher", "plain", "max_tokens", "seed")}
    files = [*text_files(config.data), *made_files(config.teacher)]
    ensure_cache(config.out, options, files, lambda: write_sentences(config, dim))
    cache = TeacherCache.open(config.out)
    return cache.sentences, np.load(config.out / "targets.npy", mmap_mode="r+"), cache.done


def write_sentences(config: TeacherConfig, dim: int) -> None:
    """Write what is to be embedded, and room for the embeddings."""
    sentences = distinct_sentences(config.data, config.plain, config.seed)
    replace_bytes(config.out / "sentences.txt", "".join(text + "\n" for text in sentences).encode())
    shape = (len(sentences), dim)
    np.lib.format.open_memmap(config.out / "targets.npy", mode="w+", dtype=np.float16, shape=shape).flush()


def main(config: TeacherConfig) -> None:
    """Embed what is not embedded yet."""
    teacher = SentenceTeacher(config.teacher, config.max_tokens, one_process(config.device).device)
    sentences, targets, done = open_for_writing(config, teacher.dim)
    state = read_state(config.out)
    sources = [*sources_below(config.data), teacher_source(config.teacher)]
    Recipe().then(command_line("training.teacher", config), sources).write(config.out)
    save_tokenizer(teacher.tokenizer, config.out / "tokenizer.json")
    pace = Pace(len(sentences) - done, "sentences")
    with tqdm(total=len(sentences), initial=done, unit=" sentences", smoothing=0.05) as progress:
        for rows in blocks_of(len(sentences) - done, config.block):
            start, stop = done + int(rows[0]), done + int(rows[-1]) + 1
            targets[start:stop] = teacher.embed(sentences[start:stop], config.batch_tokens)
            targets.flush()
            write_state(config.out, state | {"done": stop})
            progress.update(len(rows))
            pace.add(len(rows))
