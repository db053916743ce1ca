import os

from openai import OpenAI


def embed(client, texts):
    reply = client.embeddings.create(model="text-embedding-9-small", input=texts)
    return [item.embedding for item in reply.data]


client = OpenAI(base_url=os.environ["EMBEDDINGS_URL"], max_retries=0)
print(embed(client, ["one", "two"]))
