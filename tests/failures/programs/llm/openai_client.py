"""Uses the OpenAI client directly."""

from openai import OpenAI


def complete(client, prompt):
    reply = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": prompt}]
    )
    return reply.choices[0].message.content


def main():
    client = OpenAI(max_retries=0, timeout=2)
    print(complete(client, "Name a city."))


main()
