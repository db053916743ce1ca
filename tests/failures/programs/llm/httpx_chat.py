import os

import httpx


async def chat(prompt):
    headers = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    async with httpx.AsyncClient(headers=headers, timeout=1) as http:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]}
        reply = await http.post(f"{os.environ['OPENAI_BASE_URL']}/chat/completions", json=body)
        reply.raise_for_status()
        return reply.json()["choices"][0]["message"]["content"]


def main():
    import asyncio

    print(asyncio.run(chat("Name a city.")))


main()
