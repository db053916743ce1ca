"""As a library that hides what is below it."""

from mellea import start_session


class AssistantError(Exception):
    pass


class Assistant:
    def __init__(self):
        self.m = start_session("openai", "gpt-4o")

    def answer(self, question):
        try:
            return str(self.m.instruct(question, strategy=None))
        except Exception:
            raise AssistantError("the assistant is not available") from None


print(Assistant().answer("Which tram goes to Belém?"))
