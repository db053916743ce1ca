import json

from pydantic import TypeAdapter

ROWS = TypeAdapter(list[dict[str, int]])


def read(text):
    return ROWS.validate_json(text)


print(read(json.dumps([{"a": 1}, {"a": "x"}])))
