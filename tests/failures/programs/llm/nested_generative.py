from mellea import generative, start_session
from pydantic import BaseModel


class Day(BaseModel):
    title: str
    stops: list[str]


@generative
def plan_day(city: str) -> Day:
    """Plan a day in the city."""


def plan_week(m, city):
    return [plan_day(m, city=city) for _ in range(3)]


for day in plan_week(start_session("openai", "gpt-4o"), "Lisbon"):
    print(day.title, day.stops)
