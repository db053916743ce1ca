"""Prints an incident report about other machines, then fails over a mistake of its own."""

import sys

INCIDENTS = [
    {"pod": "web-1", "why": "OOMKilled"},
    {"pod": "web-2", "why": "ImagePullBackOff"},
    {"pod": "web-3", "why": "connection refused"},
    {"pod": "web-4", "why": "permission denied"},
]


def report(incidents):
    for incident in incidents:
        print(f"{incident['pod']}: {incident['why']}", file=sys.stderr)
    return incidents[len(incidents)]


report(INCIDENTS)
