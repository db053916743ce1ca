class UnknownCity(LookupError):
    pass


POPULATION = {"Lisbon": 545_000}


def population(city):
    try:
        return POPULATION[city]
    except KeyError as error:
        raise UnknownCity(f"no figure for {city}") from error


print(population("Faro"))
