"""Uses Ollama's own client."""

import ollama


def answer(question):
    client = ollama.Client(timeout=1)
    reply = client.chat("llama3", messages=[{"role": "user", "content": question}])
    return reply.message.content


print(answer("Name a city."))
