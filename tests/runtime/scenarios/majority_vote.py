"""Four samples vote: a loop around four loops."""

from endpoint import script, session
from mellea.stdlib.sampling import MajorityVotingStrategyForMath

m = session()
script("\\boxed{4}")
print(m.instruct("2+2", strategy=MajorityVotingStrategyForMath(number_of_samples=4)))
