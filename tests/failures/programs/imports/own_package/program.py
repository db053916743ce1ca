"""Imports a module that its own package does not have."""

from trips import planner, reports


print(planner.plan("Lisbon"), reports)
