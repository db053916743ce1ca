"""`%load_ext mellea_jupyter`: the `%mellea_run` line magic and the `%%mellea_run` cell magic."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Called by `%load_ext`; loading twice does no harm."""
    from mellea_jupyter.magics.completion import install_completer
    from mellea_jupyter.magics.run import MelleaMagics

    shell.register_magics(MelleaMagics)
    install_completer(shell)
