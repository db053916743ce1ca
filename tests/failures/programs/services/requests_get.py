"""Asks a weather service with requests."""

import os

import requests


def forecast(city):
    response = requests.get(f"{os.environ['WEATHER_URL']}/v1/forecast", params={"q": city}, timeout=1)
    response.raise_for_status()
    return response.json()


def main():
    for day in forecast("Lisbon")["days"]:
        print(day)


main()
