import json
import os
from urllib.request import urlopen


def today(city):
    with urlopen(f"{os.environ['WEATHER_URL']}/v1/today?q={city}", timeout=1) as response:
        return json.load(response)


print(today("Lisbon"))
