"""Where the training text comes from, by its folder in the data, with the licence that its authors publish."""

from __future__ import annotations

from pathlib import Path

from cmow.service.model.bundle import Source
from training.data.files import LABELLED_FOLDERS, split_files

SOURCES = {
    "nli/snli": Source(name="SNLI", licence="CC BY-SA 4.0", reference="Bowman et al., EMNLP 2015"),
    "nli/mnli": Source(
        name="MultiNLI", licence="OANC; mixed terms for fiction", reference="Williams et al., NAACL 2018"
    ),
    "nli/lingnli": Source(name="LingNLI", licence="none stated", reference="Parrish et al., Findings of EMNLP 2021"),
    "nli/new-protocols": Source(
        name="NLI data collection protocols", licence="text CC BY-SA 3.0", reference="Bowman et al., EMNLP 2020"
    ),
    "nli/semi-automatic-wiki": Source(
        name="Semi-automatic NLI, Wikipedia parts", licence="text CC BY-SA 3.0", reference="wikipedia.org"
    ),
    "nli/counterfactual": Source(
        name="Counterfactually augmented SNLI", licence="Apache-2.0", reference="Kaushik et al., ICLR 2020"
    ),
    "nli/rte": Source(name="RTE", licence="none stated", reference="Wang et al., GLUE, ICLR 2019"),
    "nli/sick": Source(name="SICK entailment", licence="CC BY-NC-SA 3.0", reference="Marelli et al., LREC 2014"),
    "nli/wnli": Source(name="WNLI", licence="CC BY 4.0", reference="Levesque et al., KR 2012"),
    "similarity/sick": Source(
        name="SICK relatedness", licence="CC BY-NC-SA 3.0", reference="Marelli et al., LREC 2014"
    ),
    "similarity/stsb": Source(
        name="STS Benchmark", licence="scores CC BY-SA 4.0, texts vary", reference="Cer et al., SemEval 2017"
    ),
    "paraphrase/mrpc": Source(name="MRPC", licence="Microsoft shared source", reference="Dolan and Brockett, IWP 2005"),
    "paraphrase/qqp": Source(
        name="Quora Question Pairs", licence="non-commercial, Quora's terms", reference="Iyer et al., 2017"
    ),
    "single/cola": Source(name="CoLA", licence="none stated", reference="Warstadt et al., TACL 2019"),
    "single/sst2": Source(name="SST-2", licence="none stated", reference="Socher et al., EMNLP 2013"),
    "text/flickr30k-captions.tsv.gz": Source(
        name="Flickr30k captions", licence="research use", reference="Young et al., TACL 2014"
    ),
    "text/wikipedia-sentences.txt.gz": Source(
        name="English Wikipedia", licence="CC BY-SA 3.0", reference="wikipedia.org"
    ),
}


TEACHERS = {
    "all-MiniLM-L6-v2": Source(
        name="all-MiniLM-L6-v2 (teacher)", licence="Apache-2.0", reference="Reimers and Gurevych, EMNLP 2019; sbert.net"
    ),
    "all-mpnet-base-v2": Source(
        name="all-mpnet-base-v2 (teacher)", licence="Apache-2.0", reference="Song et al., NeurIPS 2020; sbert.net"
    ),
}


def teacher_source(name: str) -> Source:
    """The teacher ``name``; one not named here is recorded without a licence, for its user to look up."""
    return TEACHERS.get(
        name, Source(name=f"{Path(name).name} (teacher)", licence="not recorded", reference="local model")
    )


def sources_below(data: Path) -> list[Source]:
    """The sources that have training text below ``data``; those not known without a licence, for their user to add."""
    places = {place: data / place for place in SOURCES}
    known = [SOURCES[place] for place, path in places.items() if path.is_file() or any(path.glob("train*"))]
    folders = {path.parent.relative_to(data).as_posix() for path in split_files(data, "train", LABELLED_FOLDERS)}
    others = sorted(folders - SOURCES.keys())
    return known + [Source(name=place, licence="not recorded", reference="local data") for place in others]
