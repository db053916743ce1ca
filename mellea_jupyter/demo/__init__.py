"""The demo model: a loopback endpoint for newcomers without a key or a local model.

Its replies are scripted, never from a language model, and say so.
"""

from .server import MODEL_NAME, DemoModel

__all__ = ["MODEL_NAME", "DemoModel"]
