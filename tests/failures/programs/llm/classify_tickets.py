"""A generative function over a list of tickets."""

from typing import Literal

from mellea import generative, start_session


@generative
def urgency(ticket: str) -> Literal["low", "high"]:
    """How urgent is the ticket?"""


def triage(m, tickets):
    return {ticket: urgency(m, ticket=ticket) for ticket in tickets}


print(triage(start_session("openai", "gpt-4o"), ["Server down", "Typo on page 3"]))
