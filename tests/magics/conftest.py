"""The fake server as the one that started this kernel."""

from tests.cli.conftest import fake

__all__ = ["fake"]
