"""A mistake in the code that handles another mistake."""

import logging

log = logging.getLogger(__name__)


def parse(row):
    return int(row["count"])


def main(rows):
    for number, row in enumerate(rows):
        try:
            print(parse(row))
        except ValueError as error:
            log.error("row %d: %s", number, error)
            print("skipped", row["identifier"])


main([{"count": "3"}, {"count": "three"}])
