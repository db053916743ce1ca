"""Three briefs at once, in a task group."""

import asyncio

from mellea import start_session


async def brief(m, topic):
    thunk = await m.ainstruct(f"Write a brief about {topic}.", strategy=None)
    return await thunk.avalue()


async def main():
    m = start_session("openai", "gpt-4o")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(brief(m, topic)) for topic in ("tides", "trams", "tiles")]
    print([task.result() for task in tasks])


asyncio.run(main())
