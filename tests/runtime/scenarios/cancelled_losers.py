"""Three chains at once: one passes at once, the others are cancelled in flight."""

from endpoint import must_contain_ok, script, session
from mellea.stdlib.sampling import RejectionSamplingStrategy

m = session()
script("OK", {"text": "bad", "delay_seconds": 60})
strategy = RejectionSamplingStrategy(loop_budget=2, concurrency_budget=3)
print(m.instruct("say hi", requirements=[must_contain_ok()], strategy=strategy))
