"""Repair by template: the second prompt tells what failed in the first."""

from endpoint import must_contain_ok, script, session
from mellea.stdlib.sampling import RepairTemplateStrategy

m = session()
script("bad one", "OK good")
strategy = RepairTemplateStrategy(loop_budget=3)
print(m.instruct("say hi", requirements=[must_contain_ok()], strategy=strategy))
