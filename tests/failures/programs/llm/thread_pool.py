from concurrent.futures import ThreadPoolExecutor

from openai import OpenAI

client = OpenAI(max_retries=0)


def label(text):
    messages = [{"role": "user", "content": f"Label: {text}"}]
    return client.chat.completions.create(model="gpt-4o", messages=messages).choices[0]


with ThreadPoolExecutor(3) as pool:
    print(list(pool.map(label, ["a", "b", "c"])))
