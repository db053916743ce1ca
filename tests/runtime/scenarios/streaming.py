"""A reply read as a stream."""

import asyncio

from endpoint import script, session
from mellea.backends import ModelOption


async def main() -> None:
    options = {ModelOption.STREAM: True}
    reply = await m.ainstruct("say it slowly", strategy=None, model_options=options)
    async for delta in reply:
        print(delta, end="")


m = session()
script("a b c d e f g")
asyncio.run(main())
