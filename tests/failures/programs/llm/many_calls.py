"""Makes more calls than its run may."""

from mellea import start_session


def ideas(m, count):
    for number in range(count):
        yield str(m.instruct(f"Idea number {number}?", strategy=None))


for idea in ideas(start_session("openai", "gpt-4o"), 10):
    print(idea)
