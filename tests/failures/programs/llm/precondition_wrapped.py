from mellea import generative, start_session
from mellea.stdlib.components.genstub import PreconditionException
from mellea.stdlib.requirements import req, simple_validate


class Rejected(Exception):
    pass


@generative
def summary(text: str) -> str:
    """Summarise the text."""


def summarise(m, text):
    enough = req("enough text", validation_fn=simple_validate(lambda _: (False, "only one word")))
    try:
        return summary(m, text=text, precondition_requirements=[enough])
    except PreconditionException as error:
        raise Rejected(f"{text!r} cannot be summarised") from error


print(summarise(start_session("openai", "gpt-4o"), "tram"))
