"""Runs in containers through a complete server, against a real engine."""
