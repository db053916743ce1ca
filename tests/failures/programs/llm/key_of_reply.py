import json

from mellea import start_session


def nights(m):
    reply = json.loads(str(m.instruct("How many nights? JSON with 'nights'.", strategy=None)))
    return int(reply["nights"])


print(nights(start_session("openai", "gpt-4o")))
