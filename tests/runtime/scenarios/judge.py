"""A requirement in plain words: a model judges each sample, first no, then yes."""

from endpoint import script, session
from mellea.stdlib.sampling import RejectionSamplingStrategy

m = session()
script("some email", "no", "another email", "yes")
strategy = RejectionSamplingStrategy(loop_budget=2)
print(m.instruct("write an email", requirements=["be polite"], strategy=strategy))
