"""Expects JSON of a model that was not told to write any."""

import json

from mellea import start_session


def plan(m, city):
    reply = m.instruct(f"Plan a day in {city}. Answer in JSON.", strategy=None)
    return json.loads(str(reply))


print(plan(start_session("openai", "gpt-4o"), "Lisbon"))
