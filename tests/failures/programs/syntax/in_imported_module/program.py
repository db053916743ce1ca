"""The mistake is in the module beside it."""

from prices import price_of


def main():
    print(price_of("coffee"))


main()
