"""Run mellea programs from Jupyter as managed runs."""

__version__ = "0.1.0"
