"""Rejection sampling: two samples fail, the third passes."""

from endpoint import must_contain_ok, script, session
from mellea.stdlib.sampling import RejectionSamplingStrategy

m = session()
script("bad one", "bad two here", "OK good")
strategy = RejectionSamplingStrategy(loop_budget=5)
print(m.instruct("say hi", requirements=[must_contain_ok()], strategy=strategy))
