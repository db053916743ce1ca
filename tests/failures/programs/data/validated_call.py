from pydantic import validate_call


@validate_call
def book(city: str, nights: int) -> str:
    return f"{nights} nights in {city}"


def main():
    print(book("Lisbon", 3))
    print(book("Porto", nights=2.5))


main()
