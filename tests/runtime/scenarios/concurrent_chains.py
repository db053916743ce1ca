"""Three chains at once, two samples each, none of which passes."""

from endpoint import must_contain_ok, script, session
from mellea.stdlib.sampling import RejectionSamplingStrategy

m = session()
script("bad")
strategy = RejectionSamplingStrategy(loop_budget=2, concurrency_budget=3)
print(m.instruct("say hi", requirements=[must_contain_ok()], strategy=strategy))
