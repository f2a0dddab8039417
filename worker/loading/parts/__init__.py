"""An archive whose forward can't be rebuilt -> those of its submodules that can.

methods       a method's graph in which calls of other modules are still calls
recorder      carries the archive out and notes what each submodule is called with
submodules    the largest that can be imported, lifted and compared
"""

from worker.loading.parts.submodules import Found, find_parts

__all__ = ["Found", "find_parts"]
