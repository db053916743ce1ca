"""A real mellea program and an endpoint whose models are not equally good."""

from __future__ import annotations

from mellea_jupyter.demo.protocol import LlmServer
from mellea_jupyter.demo.wire import LlmRequest, Reply

GOOD, POOR = "openai/gpt-4o", "openai/gpt-4o-mini"

PROGRAM = """\
import sys
from mellea import start_session
from mellea.stdlib.requirements import req, simple_validate
from mellea.stdlib.sampling import RejectionSamplingStrategy
from mellea_jupyter import current_run

def contains(word):
    check = simple_validate(lambda text: (word in text, f"no {word}"))
    return req(f"The text has {word} in it.", validation_fn=check)

result = start_session().instruct(
    "Greet a guest.",
    requirements=[contains("hello"), contains("guest")],
    strategy=RejectionSamplingStrategy(loop_budget=2),
)
print(result)
current_run.output({"greeting": str(result), "language": "en", "args": sys.argv[1:]})
"""


class ByModel(LlmServer):
    """`gpt-4o` meets both requirements at once, any other model never the second."""

    model_names = ("gpt-4o", "gpt-4o-mini")

    def reply_to(self, request: LlmRequest) -> Reply:
        return Reply("hello guest" if request.model == "gpt-4o" else "hello")

    @property
    def variables(self) -> dict[str, str]:
        """What makes a program ask this endpoint."""
        return {"OPENAI_BASE_URL": self.openai_url, "OPENAI_API_KEY": "sk-scripted"}
