"""Budget forcing: two samples of two raw completions each, thinking and answer (Ollama only)."""

from endpoint import must_contain_ok, script, session
from mellea.stdlib.sampling.budget_forcing import BudgetForcingSamplingStrategy

m = session()
script("let me think", "bad", "let me think more", "OK")
requirements = [must_contain_ok()]
strategy = BudgetForcingSamplingStrategy(loop_budget=2, requirements=requirements)
print(m.instruct("say hi", requirements=requirements, strategy=strategy))
