"""A requirement whose own check divides by zero."""

from mellea import start_session
from mellea.stdlib.requirements import req, simple_validate
from mellea.stdlib.sampling import RejectionSamplingStrategy


def is_dense(text):
    words = text.split()
    return words.count("tram") / words.count("the") > 0.1


def main():
    m = start_session("openai", "gpt-4o")
    dense = req("names trams often", validation_fn=simple_validate(is_dense))
    strategy = RejectionSamplingStrategy(loop_budget=2)
    print(m.instruct("Write about trams.", requirements=[dense], strategy=strategy))


main()
