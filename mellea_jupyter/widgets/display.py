"""How a view gets into an output, and is brought up to date there when its run has ended.

An output holds the same in several forms, and a front end takes the first that it knows: our mime
type (our extension in JupyterLab and Notebook: no kernel needed), the widget (elsewhere: answered
by the kernel), HTML and text (a saved notebook, wherever it is read).
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from mellea_jupyter.models.run import Run

if TYPE_CHECKING:
    from mellea_jupyter.widgets.views import View
    from mellea_jupyter.widgets.widget import ViewWidget

VIEW_MIME_TYPE: Final = "application/vnd.mellea-jupyter.view+json"
WIDGET_MIME_TYPE: Final = "application/vnd.jupyter.widget-view+json"


FOLLOW_SECONDS: Final = 1.5
"""Between looks at a view that the kernel follows."""

PATIENCE_SECONDS: Final = 900.0
"""How long a server may be away before the kernel gives up following."""

ATTACH_SECONDS: Final = 10.0
"""How long a browser may take to show a widget."""


def has_front_end() -> bool:
    """Whether outputs go to a notebook, not to a terminal."""
    from IPython.core.getipython import get_ipython

    return hasattr(get_ipython(), "kernel")


def _has_person() -> bool:
    """Whether somebody sits before the notebook.

    What executes notebooks unattended (nbconvert, papermill) takes no input, and its exports would
    show a widget's empty frame in place of the HTML.
    """
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    parent = kernel.get_parent() if kernel is not None else {}
    return parent.get("content", {}).get("allow_stdin") is not False


class Shown:
    """A view in an output.

    Attributes:
        view: what is shown.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self._display_id = uuid.uuid4().hex
        self._widget: ViewWidget | None = None
        self._has_ended = False
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Put it into the output of the cell that runs."""
        bundle = self.view._repr_mimebundle_()
        if len(bundle) == 2 and self.view.run is None:
            self._publish(bundle, update=False)  # nothing but a message
            return
        if self.view.is_live:
            self._publish(bundle, update=False)
            self._follow(bundle)
            return
        self._widget = _make_widget(self.view)
        self._publish(self._with_widget(bundle), update=False)
        if self.view.run is not None and not self.view.run.is_terminal:
            self._watch(self.view.run)

    def finish(self) -> None:
        """Put the end of the run into the same output, so that it is what a notebook saves."""
        with self._lock:  # who comes second waits until it stands there
            if self._has_ended:
                return
            self._has_ended = True
            bundle = self.view._repr_mimebundle_()
            if self._widget is not None:
                self._widget.seed = self.view.seed()
                self._tidy_later(bundle)
            self._publish(self._with_widget(bundle), update=True)

    def _tidy_later(self, bundle: dict[str, Any]) -> None:
        """Take the widget away where no browser has shown it.

        It would only stand before the HTML in a notebook that is read without this kernel.
        """
        from mellea_jupyter.widgets.bridge import BRIDGE

        async def tidy() -> None:
            await asyncio.sleep(ATTACH_SECONDS)
            widget = self._widget
            if widget is not None and not widget.was_attached:
                self._widget = None
                widget.close()
                self._publish(bundle, update=True)

        BRIDGE.start(tidy())

    def _watch(self, run: Run) -> None:
        from mellea_jupyter.widgets.bridge import BRIDGE, watch_run

        def change(newer: Run) -> None:
            self.view.accept(newer)
            if self._widget is not None and not newer.is_terminal:
                self._widget.seed = self.view.seed()

        async def follow() -> None:
            last = await watch_run(self.view.connection, run, on_change=change)
            if last is not None:
                # Not asyncio.to_thread, which takes the context along: the message would belong to
                # the cell that showed the view, and who executes another one would drop it.
                await asyncio.get_running_loop().run_in_executor(None, self.finish)

        BRIDGE.start(follow())

    def _follow(self, bundle: dict[str, Any]) -> None:
        """Put what is new into the output, as HTML, until nothing changes any more."""
        from mellea_jupyter.client.errors import ClientError
        from mellea_jupyter.widgets.bridge import BRIDGE

        async def follow() -> None:
            shown, heard_at = bundle, time.monotonic()
            loop = asyncio.get_running_loop()
            while self.view.is_live and time.monotonic() - heard_at < PATIENCE_SECONDS:
                await asyncio.sleep(FOLLOW_SECONDS)
                try:
                    newer = await loop.run_in_executor(None, self.view.bundle)
                except ClientError:
                    continue
                heard_at = time.monotonic()
                if newer != shown and not self._has_ended:
                    shown = newer
                    await loop.run_in_executor(None, partial(self._publish, newer, update=True))

        BRIDGE.start(follow())

    def _with_widget(self, bundle: dict[str, Any]) -> dict[str, Any]:
        if self._widget is None:
            return bundle
        place = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
        return {**bundle, WIDGET_MIME_TYPE: place}

    def _publish(self, bundle: dict[str, Any], *, update: bool) -> None:
        """Send it to the notebook. An update changes its own output and no other, on any thread."""
        from IPython.core.display_functions import publish_display_data

        transient = {"display_id": self._display_id}
        publish_display_data(  # type: ignore[no-untyped-call]  # IPython has no types here
            bundle, {}, transient=transient, update=update
        )


def show(view: View) -> Shown:
    """Display a view in the output of the cell that runs."""
    shown = Shown(view)
    shown.begin()
    return shown


def _make_widget(view: View) -> ViewWidget | None:
    """The widget of a view; None where nobody would use it, or it is not there."""
    if not _has_person():
        return None
    try:
        from mellea_jupyter.widgets.widget import ViewWidget
    except ImportError:
        return None
    return ViewWidget.of(view)


_shown_by_magic: tuple[str, int] | None = None


def show_first(view: View) -> Shown:
    """Display a run's card while its cell goes on; the cell's value does not show it again."""
    global _shown_by_magic  # noqa: PLW0603 - one kernel runs one cell at a time
    shown = show(view)
    if view.key is not None:
        _shown_by_magic = (view.key, _execution_count())
    return shown


def is_shown(view: View) -> bool:
    """Whether `show_first` has shown it in the cell that runs. True only once."""
    global _shown_by_magic  # noqa: PLW0603 - likewise
    if view.key is None or (view.key, _execution_count()) != _shown_by_magic:
        return False
    _shown_by_magic = None
    return True


def _execution_count() -> int:
    from IPython.core.getipython import get_ipython

    return int(getattr(get_ipython(), "execution_count", 0))
