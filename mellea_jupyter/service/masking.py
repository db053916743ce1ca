"""`Masking`: which values to mask in what a run left, looked up when it is shown.

The runtime masks the journal with the values that the program had. Files are kept as they were
written, and masked in previews with the values that are known then: the run's own secrets, which
are kept for a retry as long as its record, and the server's keys as they are now, which are kept
nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mellea_jupyter.environments.variables import inherited_variables, secret_names
from mellea_jupyter.exceptions import EnvironmentNotFound
from mellea_jupyter.models.config import MASK
from mellea_jupyter.models.environments import Environment
from mellea_jupyter.models.run import Run
from mellea_jupyter.models.variables import is_secret_name
from mellea_jupyter.runtime.redaction import Redactor
from mellea_jupyter.service import secrets
from mellea_jupyter.service.run_folder import RunFolders
from mellea_jupyter.stores.runs.base import RunStore


class Masking:
    """Makes the redactor of a run. Everything here blocks.

    Args:
        load_environment: an environment by its id; raises EnvironmentNotFound.
        server_environment: the server's variables.
    """

    def __init__(
        self,
        *,
        store: RunStore,
        folders: RunFolders,
        load_environment: Callable[[str], Environment],
        server_environment: Mapping[str, str],
    ) -> None:
        self._store = store
        self._folders = folders
        self._load_environment = load_environment
        self._server = server_environment

    def find_redactor(self, run: Run) -> Redactor | None:
        """The redactor; None where a secret of the run's own is not known any more.

        That is the case while the run is being deleted, its secrets first.

        Raises:
            RunNotFound: it was deleted.
        """
        kept = secrets.read(self._folders.path(run.id))
        for name, value in run.config.env_vars.items():
            if value == MASK and is_secret_name(name) and name not in kept:
                return None
        return Redactor([*kept.values(), *self._inherited(run.id)])

    def _inherited(self, run_id: str) -> list[str]:
        """The server's keys that a program of the run's environment gets.

        All that are keys by their name, where the environment was deleted.
        """
        placement = self._store.get_placement(run_id)
        try:
            environment = self._load_environment(placement.environment_id)
        except EnvironmentNotFound:
            return [value for name, value in self._server.items() if is_secret_name(name)]
        given = inherited_variables(environment, self._server)
        return [given[name] for name in secret_names(environment, given)]
