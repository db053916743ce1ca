import asyncio

from mellea import start_session


async def translate(m, word):
    thunk = await m.ainstruct(f"Translate {word}.", strategy=None)
    return await thunk.avalue()


async def main():
    m = start_session("ollama", "llama3")
    async with asyncio.TaskGroup() as group:
        for word in ("tram", "tide"):
            group.create_task(translate(m, word))


asyncio.run(main())
