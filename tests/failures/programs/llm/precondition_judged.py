"""A model judges the precondition."""

from mellea import generative, start_session


@generative
def reply_to(mail: str) -> str:
    """Write a reply to the mail."""


def answer(m, mails):
    return [
        reply_to(m, mail=mail, precondition_requirements=["the mail is polite"]) for mail in mails
    ]


print(answer(start_session("ollama", "llama3"), ["Pay at once!!"]))
