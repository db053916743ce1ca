"""Reads a reply as a stream."""

import asyncio

from mellea import start_session
from mellea.backends import ModelOption


async def tell(m, subject):
    reply = await m.ainstruct(
        f"Tell a story about {subject}.", strategy=None, model_options={ModelOption.STREAM: True}
    )
    async for piece in reply:
        print(piece, end="", flush=True)


asyncio.run(tell(start_session("openai", "gpt-4o"), "a lighthouse"))
