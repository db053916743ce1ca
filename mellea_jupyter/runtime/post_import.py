"""Call back when a module was imported, so that nothing is imported for the sake of wrapping."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Callable, Dict, List, Optional, Sequence

Callback = Callable[[ModuleType], None]


def when_imported(name: str, callback: Callback) -> None:
    """Call `callback(module)` once, right after the module's own code ran; now if it already did.

    What the callback raises is not seen by the importing program.
    """
    module = sys.modules.get(name)
    if module is not None and not getattr(module.__spec__, "_initializing", False):
        _call(callback, module)
        return
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    _finder.callbacks.setdefault(name, []).append(callback)


class _Finder:
    """Asks the other finders, and has the loader they give call back at its end."""

    def __init__(self) -> None:
        self.callbacks: Dict[str, List[Callback]] = {}

    def find_spec(
        self, name: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        """The spec another finder gives; None for modules nobody asked about."""
        if name not in self.callbacks:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: Optional[ModuleSpec] = find(name, path, target)
            if spec is not None:
                self._call_back_after(name, spec.loader)
                return spec
        return None

    def _call_back_after(self, name: str, loader: Any) -> None:
        original: Any = getattr(loader, "exec_module", None)

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module  # the class's own method again
            original(module)
            for callback in self.callbacks.pop(name, ()):
                _call(callback, module)

        if original is not None:
            try:
                loader.exec_module = exec_module
            except AttributeError:
                pass  # a loader without attributes of its own: its module stays as it is


def _call(callback: Callback, module: ModuleType) -> None:
    try:
        callback(module)
    except Exception as error:
        print(f"mellea_runtime: {module.__name__}: {error!r}", file=sys.stderr)


_finder = _Finder()
