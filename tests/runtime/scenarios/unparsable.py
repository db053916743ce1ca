"""A structured reply that does not parse: the call is paid for, the program fails."""

from endpoint import script, session
from mellea import generative


@generative
def count_words(text: str) -> int:
    """Count the words of the text."""


m = session()
script('{"result": "many"}')
print(count_words(m, text="one two"))
