"""Written for the first versions of the openai package."""

import openai


def complete(prompt):
    reply = openai.ChatCompletion.create(
        model="gpt-4o", messages=[{"role": "user", "content": prompt}]
    )
    return reply["choices"][0]["message"]["content"]


print(complete("Name a city."))
