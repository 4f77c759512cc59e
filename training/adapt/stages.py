"""What has been computed of a run, kept beside its output until it ends: a killed one goes on after its last stage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from training.data.atomic import make_folder, replace_bytes

Tensors = dict[str, Tensor]


class Stages:
    """Results by name in ``folder``, of the run that ``identity`` tells from others."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder, self.identity = folder, identity

    def once(self, name: str, make: Callable[[], Tensors]) -> Tensors:
        """What ``make`` gives, or gave when the same run came this far before."""
        path = self.folder / f"{name}.safetensors"
        if (kept := self._read(path)) is not None:
            return kept
        made = {key: values.contiguous() for key, values in make().items()}
        make_folder(self.folder)
        replace_bytes(path, save(made, {"identity": self.identity}))
        return made

    def end(self) -> None:
        """Remove everything: the output is written."""
        shutil.rmtree(self.folder)

    def _read(self, path: Path) -> Tensors | None:
        """What is kept there of this run; nothing where it is another's, or damaged."""
        try:
            with safe_open(path, "pt") as file:
                if (file.metadata() or {}).get("identity") == self.identity:
                    return {name: file.get_tensor(name) for name in list(file.keys())}
        except (OSError, SafetensorError):
            return None
        return None
