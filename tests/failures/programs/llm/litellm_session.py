"""A mellea session over LiteLLM; the model is an argument."""

import os
import sys

from mellea import start_session


def ask(model, question):
    m = start_session("litellm", model, base_url=os.environ.get("LLM_URL"))
    return str(m.instruct(question, strategy=None))


def main():
    print(ask(sys.argv[1], "Name a city."))


main()
