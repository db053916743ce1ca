"""What happened to runs: the events the broker carries and the websocket sends."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mellea_jupyter.models.base import Model
from mellea_jupyter.models.run import Run


class RunChanged(Model):
    """A run was created or its record changed: status, metrics, names, artifacts."""

    type: Literal["run_changed"] = "run_changed"
    run: Run = Field(description="The run as it is now.")


class RunDeleted(Model):
    """A run's record was removed."""

    type: Literal["run_deleted"] = "run_deleted"
    run_id: str = Field(description="The run that is gone.")
    owner_id: str = Field(description="Whose it was.")


RunEvent = RunChanged | RunDeleted
