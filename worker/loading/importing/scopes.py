"""Where in the user's module tree an instruction stands."""

import re
from typing import Any

import torch

_STEP = re.compile(r"([^.()]+)\([^()]*\)")
_NAMELESS = frozenset({"SELF", "UNKNOWN_INSTANCE"})


class Scopes:
    """Inlining leaves a module hierarchy on each instruction, with gaps; the archive's own tree fills them."""

    def __init__(self, archive: torch.jit.ScriptModule) -> None:
        self._paths = [path for path, _ in archive.named_modules() if path]
        self._known: dict[str, str] = {}

    def of(self, node: Any) -> str:
        hierarchy = node.getModuleHierarchy()
        if hierarchy not in self._known:
            self._known[hierarchy] = self._resolved(hierarchy)
        return self._known[hierarchy]

    def _resolved(self, hierarchy: str) -> str:
        steps = [name for name in _STEP.findall(hierarchy) if name not in _NAMELESS]
        while steps:
            path = self._path_ending_in(".".join(steps))
            if path is not None:
                return path
            steps.pop()
        return ""

    def _path_ending_in(self, text: str) -> str | None:
        if text in self._paths:
            return text
        fitting = [path for path in self._paths if path.endswith(f".{text}")]
        return fitting[0] if len(fitting) == 1 else None
