"""Multi-turn repair: the failed requirements are told in the conversation."""

from endpoint import must_contain_ok, script, session
from mellea.stdlib.context import ChatContext
from mellea.stdlib.sampling import MultiTurnStrategy

m = session(ctx=ChatContext())
script("bad one", "bad", "OK good")
strategy = MultiTurnStrategy(loop_budget=3)
print(m.instruct("say hi", requirements=[must_contain_ok()], strategy=strategy))
