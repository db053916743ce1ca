"""Catches everything at the top, prints it and exits with 1."""

import sys
import traceback


def total(rows):
    return sum(row["price"] for row in rows)


def main():
    print(total([{"price": 3}, {"price": "4"}]))


try:
    main()
except Exception:
    traceback.print_exc()
    sys.exit(1)
