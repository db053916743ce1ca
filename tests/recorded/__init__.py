"""A journal of a real run and the log that the API makes of it, for Python and TypeScript tests.

`run/journal/` is what the runtime wrote for `program.py`; `log.ndjson` is what a client is given of
it, a `LogFrame` a line. The Python tests read the first and expect the second
(`tests/stores/journals/test_recorded.py`); those of the log viewer read the second
(`labextension/test/logview/recorded.test.ts`). So neither side drifts from the other unseen.
`python -m tests.recorded` records both anew.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
