def ask_city():
    return input("Which city? ")


print(f"Planning {ask_city()}")
