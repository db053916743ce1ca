"""The service answers well; the program asks for what it never promised."""

import os

import requests


def tomorrow(url):
    reply = requests.get(f"{url}/v1/tomorrow", timeout=2).json()
    return reply["tomorrow"]["high"]


print(tomorrow(os.environ["WEATHER_URL"]))
