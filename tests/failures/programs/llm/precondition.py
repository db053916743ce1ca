"""A generative function that refuses arguments which fail its precondition."""

from mellea import generative, start_session
from mellea.stdlib.requirements import req, simple_validate


@generative
def translate(text: str) -> str:
    """Translate the text into Portuguese."""


def main():
    m = start_session("openai", "gpt-4o")
    not_long = req(
        "the text is short",
        validation_fn=simple_validate(lambda _: (False, "the text is too long")),
    )
    print(translate(m, text="x" * 5000, precondition_requirements=[not_long]))


main()
