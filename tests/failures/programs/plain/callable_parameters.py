"""Called as `callable_parameters:plan` with a parameter that it does not have."""


def plan(city: str, nights: int = 2) -> dict:
    return {"city": city, "nights": nights}
