from openai import OpenAI


def stream(client, prompt):
    messages = [{"role": "user", "content": prompt}]
    for chunk in client.chat.completions.create(model="gpt-4o", messages=messages, stream=True):
        yield chunk.choices[0].delta.content or ""


print("".join(stream(OpenAI(max_retries=0), "Tell a long story.")))
