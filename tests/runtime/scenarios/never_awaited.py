"""A lazy reply that nobody awaits: the request is made, its reply never read."""

import asyncio

from endpoint import script, session


async def main() -> None:
    reply = await m.ainstruct("a question", strategy=None)
    await asyncio.wait_for(reply._gen.generate, timeout=60)  # the request itself
    print(reply.is_computed())


m = session()
script("an answer")
asyncio.run(main())
