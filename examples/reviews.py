"""Read customer reviews with typed functions that the model implements (`@generative`).

jupyter mellea run examples/reviews.py --model demo/scripted
"""

import argparse
from typing import Literal

from mellea import generative, start_session
from pydantic import BaseModel

REVIEWS = [
    "The kettle boils in two minutes and looks lovely on the table.",
    "It leaked on the third day, and nobody answers my messages.",
    "It is a kettle. It boils water.",
]


class Complaint(BaseModel):
    """What a customer is unhappy about."""

    product: str
    problem: str
    wants_refund: bool


@generative
def sentiment_of(review: str) -> Literal["positive", "neutral", "negative"]:
    """Classify the sentiment of a customer's review."""


@generative
def complaint_in(review: str) -> Complaint:
    """Extract what the customer complains about."""


def main() -> None:
    """Classify each review, then look closely at one complaint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reviews", nargs="*", default=REVIEWS)
    parser.add_argument("--complaint", default=REVIEWS[1])
    args = parser.parse_args()

    session = start_session()
    for review in args.reviews:
        print(f"{sentiment_of(session, review=review):8}  {review}")
    complaint = complaint_in(session, review=args.complaint)
    print(f"complaint about {complaint.product!r}: {complaint.problem}")


if __name__ == "__main__":
    main()
