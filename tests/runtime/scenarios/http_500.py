"""A server error, which OpenAI's client tries three times: one failed call."""

from endpoint import script, session

m = session()
script({"status": 500, "text": "boom"})
print(m.instruct("say hi", strategy=None))
