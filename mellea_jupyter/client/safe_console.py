"""`SafeConsole`: rich's console for texts that others wrote. Imported when something is printed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.segment import Segment

from mellea_jupyter.client.terminal import escape

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderableType


class SafeConsole(Console):
    """Writes control characters out, whatever is printed, and takes no text for markup.

    Rich itself lets the escape character through, and would make links of `[link=…]` in a name.
    Its own styles and line ends are segments of their own and stay.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs, highlight=False, markup=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Rich's segments with the texts escaped; all that is printed passes here."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(escape(segment.text), segment.style)
