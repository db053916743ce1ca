def format_price(value):
    return f"{value:.2f} EUR"
