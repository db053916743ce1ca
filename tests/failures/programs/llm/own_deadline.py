"""Gives the model half a second, by its own clock."""

import asyncio

from mellea import start_session


async def answer(m, question):
    thunk = await m.ainstruct(question, strategy=None)
    return await thunk.avalue()


async def main():
    m = start_session("openai", "gpt-4o")
    print(await asyncio.wait_for(answer(m, "Name a city."), timeout=0.5))


asyncio.run(main())
