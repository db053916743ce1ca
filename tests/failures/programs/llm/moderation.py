"""Passes the wrong type to the API."""

import os

from openai import OpenAI


def flagged(client, text):
    return client.moderations.create(input=text).results[0].flagged


print(flagged(OpenAI(base_url=os.environ["MODERATION_URL"], max_retries=0), {"text": 3}))
