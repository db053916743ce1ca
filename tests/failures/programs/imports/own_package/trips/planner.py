from trips.calendar import days


def plan(city):
    return city, days(3)
