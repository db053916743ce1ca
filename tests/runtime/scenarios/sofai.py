"""SOFAI: three tries of the fast solver fail, the slow one passes."""

from itertools import count

from endpoint import script, session
from mellea.stdlib.context import ChatContext
from mellea.stdlib.requirements import req, simple_validate
from mellea.stdlib.sampling.sofai import SOFAISamplingStrategy

fast = session(ctx=ChatContext())
slow = session().backend
script("bad", "bad two", "bad three", "OK")
tries = count(1)
# Another reason each time: without progress SOFAI turns to the slow solver early.
check = simple_validate(lambda text: ("OK" in text, f"no OK in try {next(tries)}"))
requirement = req("must contain OK", validation_fn=check)
strategy = SOFAISamplingStrategy(fast.backend, slow, loop_budget=3)
print(fast.instruct("say hi", requirements=[requirement], strategy=strategy))
