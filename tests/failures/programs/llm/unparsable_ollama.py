from typing import Literal

from mellea import generative, start_session


@generative
def mood(text: str) -> Literal["happy", "sad"]:
    """The mood of the text."""


def moods(texts):
    m = start_session("ollama", "llama3")
    return [mood(m, text=text) for text in texts]


print(moods(["What a day!", "It rains."]))
