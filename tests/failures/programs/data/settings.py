"""Settings from the environment, of which one is missing."""

import os

from pydantic import BaseModel, HttpUrl


class Settings(BaseModel):
    endpoint: HttpUrl
    retries: int = 3


def settings():
    return Settings.model_validate(
        {name: os.environ[name.upper()] for name in ("endpoint", "retries") if name.upper() in os.environ}
    )


print(settings())
