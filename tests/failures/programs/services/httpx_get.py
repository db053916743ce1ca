import os

import httpx


class Weather:
    def __init__(self, url):
        self.http = httpx.Client(base_url=url, timeout=1)

    def today(self, city):
        response = self.http.get("/v1/today", params={"q": city})
        return response.raise_for_status().json()


print(Weather(os.environ["WEATHER_URL"]).today("Lisbon"))
