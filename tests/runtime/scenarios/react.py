"""ReAct: a tool in the first turn, the final answer in the second."""

import asyncio
from typing import Any

from endpoint import script, session
from mellea.backends.tools import MelleaTool
from mellea.stdlib.context import ChatContext
from mellea.stdlib.frameworks.react import react


def add(a: int, b: int) -> int:
    """Add two numbers.

    Args:
        a: The first.
        b: The second.
    """
    return a + b


async def main() -> None:
    tools: list[Any] = [MelleaTool.from_callable(add)]
    answer, _ = await react("what is 1 + 2", m.ctx, m.backend, tools=tools)
    print(answer)


m = session(ctx=ChatContext())
script(
    {"text": "", "tool_calls": [["add", {"a": 1, "b": 2}]]},
    {"text": "", "tool_calls": [["final_answer", {"answer": "3"}]]},
)
asyncio.run(main())
