"""The docker executor: each run in a container of its own, hardened by default.

`executor.py` is the contract; `engine.py` is all that talks to the engine.
"""
