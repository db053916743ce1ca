import asyncio

from mellea import start_session


async def answer(m, number):
    thunk = await m.ainstruct(f"Question {number}?", strategy=None)
    return await thunk.avalue()


async def main():
    m = start_session("ollama", "llama3")
    print(await asyncio.gather(*(answer(m, number) for number in range(6))))


asyncio.run(main())
