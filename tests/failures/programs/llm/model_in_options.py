"""Tries to change the model by an option."""

from mellea import start_session


def ask(m, question, model):
    return m.instruct(question, strategy=None, model_options={"model": model})


print(ask(start_session("openai", "gpt-4o"), "Name a city.", "gpt-4o-mini"))
