from decimal import Decimal


def amount(text):
    return Decimal(text.removeprefix("EUR "))


print(sum(amount(text) for text in ("EUR 12.50", "EUR 3,40")))
