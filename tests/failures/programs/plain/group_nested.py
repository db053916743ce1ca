"""Groups in a group; all leaves are the program's own."""

import asyncio


async def convert(text):
    await asyncio.sleep(0)
    return int(text)


async def batch(texts):
    async with asyncio.TaskGroup() as group:
        for text in texts:
            group.create_task(convert(text))


async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(batch(["1", "two"]))
        group.create_task(batch(["3", "4"]))


asyncio.run(main())
