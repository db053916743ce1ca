"""A reply in the form of a model, read back with it."""

from mellea import start_session
from pydantic import BaseModel


class Trip(BaseModel):
    city: str
    nights: int


def plan(m):
    reply = m.instruct("Plan a short trip.", format=Trip, strategy=None)
    return Trip.model_validate_json(str(reply))


print(plan(start_session("openai", "gpt-4o")))
