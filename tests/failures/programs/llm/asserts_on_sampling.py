"""Checks the outcome of sampling itself, and asserts."""

from mellea import start_session
from mellea.stdlib.requirements import req, simple_validate
from mellea.stdlib.sampling import RejectionSamplingStrategy


def main():
    m = start_session("openai", "gpt-4o")
    upper = req("in capitals", validation_fn=simple_validate(str.isupper))
    result = m.instruct(
        "Shout.",
        requirements=[upper],
        strategy=RejectionSamplingStrategy(loop_budget=2),
        return_sampling_results=True,
    )
    assert result.success, "no sample met the requirements"


main()
