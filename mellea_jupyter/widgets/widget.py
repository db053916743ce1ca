"""The anywidget that draws a view where our JupyterLab extension is not.

Its state is what to show and what was read; the connection with its token stays on this side.
Importing this raises `ImportError` where anywidget is not installed or the script was not built.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anywidget
import traitlets

from mellea_jupyter.widgets.bridge import WidgetServer

if TYPE_CHECKING:
    from mellea_jupyter.widgets.views import View

_STATIC: Final = Path(__file__).parent / "static"

if not (_STATIC / "widget.js").is_file():
    msg = "mellea_jupyter was installed from a checkout without its front end"
    raise ImportError(msg)


class ViewWidget(anywidget.AnyWidget):
    """One view. `labextension/src/widget/index.tsx` draws it."""

    _esm = _STATIC / "widget.js"
    _css = _STATIC / "widget.css"

    spec = traitlets.Dict().tag(sync=True)
    seed = traitlets.Dict().tag(sync=True)
    run_link = traitlets.Unicode().tag(sync=True)

    @classmethod
    def of(cls, view: View) -> ViewWidget:
        """The widget of a view; the kernel answers it until it is closed."""
        link = view.connection.run_url("") or ""
        widget = cls(spec=view.spec(), seed=view.seed(), run_link=link)
        widget._server = WidgetServer(view.connection, widget._post_to_browsers)
        widget.on_msg(widget._take_message)
        return widget

    _server: WidgetServer

    @property
    def was_attached(self) -> bool:
        """Whether a browser has ever shown it."""
        return self._server.was_attached

    def close(self) -> None:
        """End it, here and in browsers."""
        self._server.close()
        super().close()

    def _take_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        self._server.receive(content)

    def _post_to_browsers(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        if self.comm is not None:
            self.send(content, buffers or None)
