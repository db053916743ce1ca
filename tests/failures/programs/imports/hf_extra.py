"""A local model, without the extra that brings torch."""

from mellea import start_session


def session():
    return start_session("hf", "ibm-granite/granite-4.0-micro")


print(session().instruct("Name a city."))
