"""Writes what makes a log hard to show: see __main__.py."""

import logging
import sys
import time

import mellea
from mellea.stdlib.sampling import RepairTemplateStrategy

print("plain text with ünïcödé and a 🌊")
link = "\x1b]8;;https://example.org\x07a link\x1b]8;;\x07"
print(f"\x1b[1;31mred\x1b[0m, \x1b[4munderlined\x1b[0m, {link}")
print("<script>alert('text, not markup')</script>")
print("to stderr", file=sys.stderr, flush=True)
for done in range(0, 101, 20):
    sys.stdout.write(f"\rprogress {done} %")
    sys.stdout.flush()
    time.sleep(0.15)  # longer than the supervisor waits for the rest of a line
print()
print("x" * 20_000)
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
logging.getLogger("program").warning("a record\nof two lines")
reply = mellea.start_session().instruct(
    "Write a haiku about the sea.",
    requirements=["It mentions the sea."],
    strategy=RepairTemplateStrategy(loop_budget=2),
)
print(reply)
print("the last line has no end", end="")
