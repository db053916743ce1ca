"""A raw batch of three prompts: one request over OpenAI, three over Ollama."""

import asyncio

from endpoint import script, session
from mellea.core import CBlock


async def main() -> None:
    prompts = [CBlock("one"), CBlock("two words"), CBlock("three more words")]
    print(*await m.backend.generate_from_raw(prompts, ctx=m.ctx))


m = session()
script("a completion")
asyncio.run(main())
