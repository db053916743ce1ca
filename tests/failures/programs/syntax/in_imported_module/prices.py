PRICES = {"coffee": 1.2, "tea": 0.9}


def price_of(name)
    return PRICES[name]
