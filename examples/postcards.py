"""Write several postcards at once: the calls overlap, so the run takes about as long as one.

jupyter mellea run examples/postcards.py --model demo/scripted -- Lisbon Porto Faro
"""

import argparse
import asyncio

from mellea import MelleaSession, SimpleContext, start_session


async def write_postcard(session: MelleaSession[SimpleContext], city: str) -> str:
    """Write one postcard; `strategy=None` asks once, without a sampling loop."""
    thunk = await session.ainstruct(
        f"Write a postcard from {city} in two sentences.", strategy=None
    )
    text = await thunk.avalue()
    print(f"{city} is written")
    return text


async def write_all(cities: list[str]) -> None:
    """Write all postcards together and print them in the order of their cities."""
    session = start_session()
    postcards = await asyncio.gather(*(write_postcard(session, city) for city in cities))
    for city, postcard in zip(cities, postcards, strict=True):
        print(f"\n{city}\n{postcard}")


def main() -> None:
    """Read the cities from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cities", nargs="*", default=["Lisbon", "Porto", "Faro", "Évora"])
    asyncio.run(write_all(parser.parse_args().cities))


if __name__ == "__main__":
    main()
