"""An agent that never comes to its final answer."""

import asyncio

from mellea import start_session
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


async def main():
    m = start_session("openai", "gpt-4o", ctx=ChatContext())
    tools = [MelleaTool.from_callable(add)]
    print(await react("What is 1 + 2?", m.ctx, m.backend, tools=tools, loop_budget=2))


asyncio.run(main())
