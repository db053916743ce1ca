"""Which interpreters a run may use and what they have, and what the operator configured."""

from mellea_jupyter.environments.configured import DEFAULT_ENVIRONMENT_ID, configured_environments
from mellea_jupyter.environments.interpreter import Interpreter, InterpreterError, Interpreters

__all__ = [
    "DEFAULT_ENVIRONMENT_ID",
    "Interpreter",
    "InterpreterError",
    "Interpreters",
    "configured_environments",
]
