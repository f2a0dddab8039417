"""The graph of a module's method in which calls of other modules are still calls."""

from typing import Any

import torch

CALL = "modelpress::call_method"


class Methods:
    """Graphs by module and name, each prepared once."""

    def __init__(self, archive: torch.jit.ScriptModule) -> None:
        modules = [one for _, one in archive.named_modules() if isinstance(one, torch.jit.ScriptModule)]
        self._module_types = {str(one._c._type()) for one in modules}
        self._graphs: dict[tuple[str, str], Any] = {}

    def graph(self, module: torch.jit.ScriptModule, name: str) -> Any:
        key = (str(module._c._type()), name)
        if key not in self._graphs:
            self._graphs[key] = self._prepared(module._c._get_method(name).graph.copy())
        return self._graphs[key]

    def _prepared(self, graph: Any) -> Any:
        """torch inlines functions and methods alike: calls of modules are hidden from it under another name."""
        for node in graph.findAllNodes("prim::CallMethod"):
            if str(node.inputsAt(0).type()) in self._module_types:
                self._hide(graph, node)
        torch._C._jit_pass_inline(graph)
        return graph

    def _hide(self, graph: Any, node: Any) -> None:
        call = graph.create(CALL, list(node.inputs()), node.outputsSize())
        call.s_("name", node.s("name"))
        call.insertBefore(node)
        for old, new in zip(node.outputs(), call.outputs(), strict=True):
            new.setType(old.type())
            old.replaceAllUsesWith(new)
        node.destroy()
