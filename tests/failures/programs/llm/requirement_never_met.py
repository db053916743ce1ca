from mellea import start_session
from mellea.stdlib.requirements import req, simple_validate
from mellea.stdlib.sampling import RejectionSamplingStrategy


def write(m):
    short = req("ends with a full stop", validation_fn=simple_validate(lambda t: t.endswith(".")))
    strategy = RejectionSamplingStrategy(loop_budget=2)
    return m.instruct("Write one sentence.", requirements=[short], strategy=strategy)


print(write(start_session("openai", "gpt-4o")))
