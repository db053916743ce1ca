"""Eight lazy replies, awaited together."""

import asyncio

from endpoint import script, session


async def main() -> None:
    replies = [await m.ainstruct(f"question {n}", strategy=None) for n in range(8)]
    print(await asyncio.gather(*(reply.avalue() for reply in replies)))


m = session()
script("an answer")
asyncio.run(main())
