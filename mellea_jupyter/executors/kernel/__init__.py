"""The kernel executor: a Jupyter kernel for each run."""
