"""The program's own deadline for its own work."""

import asyncio


async def settle():
    await asyncio.sleep(30)


async def main():
    await asyncio.wait_for(settle(), timeout=0.2)


asyncio.run(main())
