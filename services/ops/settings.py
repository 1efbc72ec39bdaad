"""Settings of the operators' commands."""

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from contracts.topics import DEAD_LETTERS


class Settings(BaseSettings):
    """`DEAD_LETTERS_PRIVATE_KEY` is the operators' private EC JWK, as JSON. The command `list` works without it."""

    dead_letters_topic: str = DEAD_LETTERS
    dead_letters_private_key: Annotated[SecretStr | None, Field(repr=False)] = None
