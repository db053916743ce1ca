import ollama


def stream(question):
    messages = [{"role": "user", "content": question}]
    for part in ollama.chat("llama3", messages=messages, stream=True):
        yield part.message.content


print("".join(stream("Tell a long story.")))
