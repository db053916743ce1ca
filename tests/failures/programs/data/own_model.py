"""The program's own data does not fit its own model."""

from pydantic import BaseModel, PositiveInt


class Trip(BaseModel):
    city: str
    nights: PositiveInt


def load(rows):
    return [Trip(**row) for row in rows]


print(load([{"city": "Lisbon", "nights": 3}, {"city": "Porto", "nights": "many"}]))
