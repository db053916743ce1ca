"""A model judges, and always says no."""

from mellea import start_session
from mellea.stdlib.sampling import RejectionSamplingStrategy


def main():
    m = start_session("ollama", "llama3")
    strategy = RejectionSamplingStrategy(loop_budget=2)
    print(m.instruct("Write a mail.", requirements=["be polite"], strategy=strategy))


main()
