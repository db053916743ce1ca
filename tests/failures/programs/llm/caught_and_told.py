"""Catches, tells in its own words, and exits with 1."""

import sys

from mellea import start_session


def main():
    m = start_session("openai", "gpt-4o")
    try:
        print(m.instruct("Name a city.", strategy=None))
    except Exception as error:
        print(f"plan_trip: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)


main()
