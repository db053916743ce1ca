"""A generative function whose reply is of another type."""

from mellea import generative, start_session


@generative
def count_words(text: str) -> int:
    """Count the words of the text."""


def main():
    m = start_session("openai", "gpt-4o")
    print(count_words(m, text="one two three"))


main()
