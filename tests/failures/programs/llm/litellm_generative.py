import os
import sys

from mellea import generative, start_session


@generative
def is_polite(mail: str) -> bool:
    """Is the mail polite?"""


def main(model):
    m = start_session("litellm", model, base_url=os.environ["LLM_URL"])
    print(is_polite(m, mail="Pay at once!!"))


main(sys.argv[1])
