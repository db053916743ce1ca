"""A settings file that is not JSON."""

import json
from pathlib import Path


def load_settings(path):
    with path.open() as file:
        return json.load(file)


path = Path("settings.json")
path.write_text("{'model': 'granite'}\n")
print(load_settings(path))
