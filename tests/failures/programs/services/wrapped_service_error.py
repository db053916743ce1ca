import os

import requests


class ForecastUnavailable(Exception):
    pass


def forecast(city):
    try:
        response = requests.get(f"{os.environ['WEATHER_URL']}/v1/{city}", timeout=1)
        response.raise_for_status()
    except requests.RequestException as error:
        raise ForecastUnavailable(f"no forecast for {city}") from error
    return response.json()


print(forecast("Lisbon"))
