"""Messages of the websocket `/api/runs/ws`: one socket a tab, multiplexed by topic.

The socket carries what is new; history is read over REST. Topics:

* `runs`: every change of a run that the user may see;
* `run/<id>`: changes of one run, beginning with what it is now;
* `run/<id>/calls`: its LLM calls and sampling loops as they change. Begins with nothing: the
  client subscribes, waits for `subscribed`, then reads the pages over REST. Whatever changes after
  `subscribed` comes here, so nothing is missed. What comes here replaces what is known of its
  number; a page, which may be older, never replaces what came here;
* `run/<id>/logs`: its log lines after a cursor, then `complete`;
* `notifications`: notices for the user.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints, TypeAdapter

from mellea_jupyter.models.base import Model
from mellea_jupyter.models.calls import CallsChanged
from mellea_jupyter.models.events import RunEvent
from mellea_jupyter.models.frames import LogFrame
from mellea_jupyter.models.notifications import NoticeEvent
from mellea_jupyter.models.run import RunStatus

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

Topic = Annotated[
    str,
    StringConstraints(pattern=rf"^(runs|notifications|run/{UUID}(/logs|/calls)?)$", max_length=64),
]


class Subscribe(Model):
    """Ask for a topic. Answered by `subscribed` or `error`; asking again starts it anew."""

    type: Literal["subscribe"]
    topic: Topic = Field(description="What to hear of.")
    after: str | None = Field(
        None,
        max_length=100,
        description="Logs only: begin after this cursor; else at the start.",
    )


class Unsubscribe(Model):
    """Hear no more of a topic. Answered by `unsubscribed`, also when there was nothing to end."""

    type: Literal["unsubscribe"]
    topic: Topic = Field(description="What to end.")


ClientMessage = Annotated[Subscribe | Unsubscribe, Field(discriminator="type")]


class Subscribed(Model):
    """The topic is being followed: nothing that happens from here on is missed."""

    type: Literal["subscribed"] = "subscribed"
    topic: str = Field(description="As asked for.")


class Unsubscribed(Model):
    """The last message of a topic that the client ended."""

    type: Literal["unsubscribed"] = "unsubscribed"
    topic: str = Field(description="As asked for.")


class Event(Model):
    """Something happened to a run or a notice. Quick successions may come as their last one."""

    type: Literal["event"] = "event"
    topic: str = Field(description="The topic it was asked for by.")
    event: RunEvent | NoticeEvent | CallsChanged = Field(
        discriminator="type", description="What happened."
    )


class Logs(Model):
    """New log lines of a run, in order."""

    type: Literal["logs"] = "logs"
    topic: str = Field(description="`run/<id>/logs`.")
    frames: tuple[LogFrame, ...] = Field(description="The lines.")
    cursor: str = Field(description="Cursor of the last one, to subscribe after.")


class Lagged(Model):
    """The client reads too slowly for this topic, which has ended.

    Read what is missing over REST and subscribe again after the last line, or subscribe with
    `after` set to `resume`.
    """

    type: Literal["lagged"] = "lagged"
    topic: str = Field(description="The topic that has ended.")
    resume: str | None = Field(None, description="Cursor of the last line that was sent.")


class Complete(Model):
    """The log is complete and all of it was sent; the topic has ended."""

    type: Literal["complete"] = "complete"
    topic: str = Field(description="`run/<id>/logs`.")
    status: RunStatus = Field(description="The run's final status.")


class Error(Model):
    """A message could not be served. The connection and other topics go on."""

    type: Literal["error"] = "error"
    code: str = Field(description="Stable identifier, snake case.")
    message: str = Field(description="What is wrong, one sentence.")
    hint: str = Field("", description="The next step.")
    details: dict[str, JsonValue] = Field(default_factory=dict, description="More, for programs.")
    topic: str | None = Field(None, description="The topic concerned, where there is one.")


ServerMessage = Annotated[
    Subscribed | Unsubscribed | Event | Logs | Lagged | Complete | Error,
    Field(discriminator="type"),
]

_CLIENT_MESSAGE: TypeAdapter[Subscribe | Unsubscribe] = TypeAdapter(ClientMessage)


def parse_client_message(raw: str | bytes) -> Subscribe | Unsubscribe:
    """One message of a client.

    Raises:
        ValidationError: not JSON, or no such message.
    """
    return _CLIENT_MESSAGE.validate_json(raw, strict=True)
