"""A conversation that grows beyond the model's context."""

from mellea import start_session
from mellea.stdlib.context import ChatContext


class Interview:
    def __init__(self):
        self.m = start_session("openai", "gpt-4o", ctx=ChatContext())

    def ask(self, question):
        return str(self.m.chat(question).content)


interview = Interview()
for number in range(4):
    print(interview.ask(f"Question {number}: " + "background " * 50))
