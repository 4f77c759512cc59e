"""Scores sentence pairs, similarity and entailment, with a matrix-embedding student instead of a transformer.

    import cmow

    with cmow.load() as model:
        model.similarity("A man is eating food.", ["A man eats bread.", "It rains."])  # float32 [2], cosines

``load`` gives a ``Model``, whose methods say what they take and give. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from cmow.service.dedupe.duplicates import Duplicates, dedupe
    from cmow.service.errors import CmowError
    from cmow.service.model.model import Entailment, Label, Model, Ranked, Token
    from cmow.service.model.verdicts.claims import Claim, Evidence
    from cmow.service.model.verdicts.same import Match

__all__ = [
    "Claim",
    "CmowError",
    "Duplicates",
    "Entailment",
    "Evidence",
    "Label",
    "Match",
    "Model",
    "Ranked",
    "Token",
    "dedupe",
    "load",
]

_HERE = Path(__file__).parent
_MODULES = {
    "cmow.service.dedupe.duplicates": ("Duplicates", "dedupe"),
    "cmow.service.errors": ("CmowError",),
    "cmow.service.model.model": ("Entailment", "Label", "Model", "Ranked", "Token"),
    "cmow.service.model.verdicts.claims": ("Claim", "Evidence"),
    "cmow.service.model.verdicts.same": ("Match",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

if not (_HERE / "service").is_dir():
    raise ImportError(
        f"{_HERE / 'service'}: expected a folder, or a link to the checkout's service/: this file system keeps no "
        "symbolic links; clone to one that does (git config core.symlinks true), or install a wheel"
    )


def load(
    bundle: Path | str | None = None,
    provider: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int = 0,
    require_fused_op: bool = False,
) -> Model:
    """Open the model in the folder ``bundle``, the one that comes with the package unless given.

    ``provider`` is ``cpu``, ``cuda``, or ``auto`` (a GPU where one works). ``threads`` run side by side; 0 takes what
    CPU affinity and quota grant. With ``require_fused_op`` the slow portable encoder is an error. A call takes any
    number of texts; each may have up to 100,000 characters.

    Raises ``CmowError`` that says what is missing, damaged or wrong.
    """
    from cmow.service.model.model import open_model

    return open_model(bundle, provider, threads, require_fused_op)


def __getattr__(name: str) -> Any:
    """The public names, imported when they are first asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
