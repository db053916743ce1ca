"""Imports a name that its own module does not define."""

from helpers import format_price, parse_price

print(format_price(parse_price("3.50")))
