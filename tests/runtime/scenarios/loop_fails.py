"""A requirement that raises: the sample is paid for, the loop and the program fail."""

from endpoint import script, session
from mellea.core import Context, ValidationResult
from mellea.stdlib.requirements import req
from mellea.stdlib.sampling import RejectionSamplingStrategy

m = session()
script("hi")


def broken(context: Context) -> ValidationResult:
    raise ZeroDivisionError(context)


strategy = RejectionSamplingStrategy(loop_budget=2)
asked = [req("never asked", validation_fn=broken)]
print(m.instruct("say hi", requirements=asked, strategy=strategy))
