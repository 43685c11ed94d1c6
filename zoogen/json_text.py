"""JSON of files that anybody may have written: a value, or a ValueError."""

import json
from typing import Any


def parse_json(text: bytes | str) -> Any:
    """The value.

    Raises:
        ValueError: it is no JSON, or nested so deeply that nothing here can have written it.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
