"""LiteLLM itself."""

import os
import sys

import litellm


def complete(model, prompt):
    reply = litellm.completion(
        model,
        messages=[{"role": "user", "content": prompt}],
        api_base=os.environ["LLM_URL"],
        num_retries=0,
        timeout=2,
    )
    return reply.choices[0].message.content


print(complete(sys.argv[1], "Name a city."))
