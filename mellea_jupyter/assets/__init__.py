"""Turns what a user names (a path, a `module:callable`, literal source) into a pinned source.

`pin` reads and stores, `materialize` gives it to a run. Both are synchronous and meant for a
worker thread; neither knows owners or ids, which are the service's.
"""

from mellea_jupyter.assets.blobs import materialize
from mellea_jupyter.assets.pinning import MAX_FILES, MAX_SOURCE_BYTES, Pinned, pin

__all__ = ["MAX_FILES", "MAX_SOURCE_BYTES", "Pinned", "materialize", "pin"]
