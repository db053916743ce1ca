"""Which interpreters (later images and kernels) a run may use, and whether they answer."""

from mellea_jupyter.environments.interpreter import Interpreter, InterpreterError, Interpreters
from mellea_jupyter.environments.service import DEFAULT_ENVIRONMENT_ID, EnvironmentService

__all__ = [
    "DEFAULT_ENVIRONMENT_ID",
    "EnvironmentService",
    "Interpreter",
    "InterpreterError",
    "Interpreters",
]
