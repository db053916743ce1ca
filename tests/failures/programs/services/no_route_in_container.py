"""A program in a container without a network."""

import urllib.request


def fetch(url):
    with urllib.request.urlopen(url, timeout=2) as response:
        return response.read()


print(fetch("http://198.51.100.7/prices.json"))
