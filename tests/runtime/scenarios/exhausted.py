"""A budget of two samples of which none passes: no error, exit 0."""

from endpoint import must_contain_ok, script, session
from mellea.stdlib.sampling import RejectionSamplingStrategy

m = session()
script("bad")
strategy = RejectionSamplingStrategy(loop_budget=2)
print(m.instruct("say hi", requirements=[must_contain_ok()], strategy=strategy))
