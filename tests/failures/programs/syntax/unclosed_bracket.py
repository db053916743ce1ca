"""Totals per city."""

CITIES = {"Lisbon": [12, 14], "Porto": [9, 11]


def totals():
    return {city: sum(days) for city, days in CITIES.items()}


print(totals())
