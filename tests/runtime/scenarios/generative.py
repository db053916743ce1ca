"""A generative function: one structured call."""

from typing import Literal

from endpoint import script, session
from mellea import generative


@generative
def classify(text: str) -> Literal["positive", "negative"]:
    """Classify the sentiment of the text."""


m = session()
script('{"result": "positive"}')
print(classify(m, text="what a day"))
