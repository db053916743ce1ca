import json
import os


def load_settings(path):
    with open(path) as file:
        return json.load(file)


print(load_settings(os.path.dirname(os.path.abspath(__file__))))
