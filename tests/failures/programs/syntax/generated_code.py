"""Runs code that a template produced."""

TEMPLATE = "def handler(event):\n    return event[{key!r}\n"


def build(key):
    namespace = {}
    exec(compile(TEMPLATE.format(key=key), "<handler>", "exec"), namespace)
    return namespace["handler"]


print(build("city")({"city": "Lisbon"}))
