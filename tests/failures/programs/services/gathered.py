"""Several cities at once, each in a task."""

import asyncio
import os

import httpx


async def today(http, city):
    response = await http.get(f"{os.environ['WEATHER_URL']}/v1/{city}")
    response.raise_for_status()
    return response.json()


async def main():
    async with httpx.AsyncClient(timeout=1) as http, asyncio.TaskGroup() as group:
        tasks = [group.create_task(today(http, city)) for city in ("Lisbon", "Porto")]
    print([task.result() for task in tasks])


asyncio.run(main())
