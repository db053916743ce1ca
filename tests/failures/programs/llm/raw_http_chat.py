"""Speaks to the model's endpoint without a client library."""

import os

import requests


def chat(prompt):
    response = requests.post(
        f"{os.environ['OPENAI_BASE_URL']}/chat/completions",
        json={"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]},
        headers={"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"},
        timeout=1,
    )
    response.raise_for_status()
    return response.json()["choices"][0]["message"]["content"]


print(chat("Name a city."))
