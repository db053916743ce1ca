"""A stream whose server does not say how many tokens it took."""

import asyncio

from endpoint import script, session
from mellea.backends import ModelOption


async def main() -> None:
    options = {ModelOption.STREAM: True}
    reply = await m.ainstruct("say it slowly", strategy=None, model_options=options)
    print(await reply.avalue())


m = session()
script({"text": "a b c d", "usage": False})
asyncio.run(main())
