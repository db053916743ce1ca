import asyncio


async def check(name, value):
    await asyncio.sleep(0)
    if value < 0:
        raise ValueError(f"{name} is negative")


async def main():
    async with asyncio.TaskGroup() as group:
        for name, value in {"a": 1, "b": -2, "c": -3}.items():
            group.create_task(check(name, value))


asyncio.run(main())
