"""A plug-in of a library that is a package of its own."""

from google.cloud import bigquery

client = bigquery.Client()
