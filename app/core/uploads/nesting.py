"""How deep a pickled value is nested: torch walks down values by recursion, which ends the process if they are deep."""

from app.core.uploads import limits
from app.core.uploads.pickle_reader import malformed
from app.core.uploads.pickle_values import Instance


def check_nesting(value: object) -> None:
    """Invalid when containers stand in one another more than the limit's number deep, or in themselves."""
    depths: dict[int, int] = {}
    entered: set[int] = set()
    waiting = [value]
    while waiting:
        current = waiting[-1]
        if id(current) in depths:
            waiting.pop()
            continue
        missing = [item for item in _inner(current) if id(item) not in depths]
        if not missing:
            depths[id(current)] = 1 + max((depths[id(item)] for item in _inner(current)), default=0)
            if depths[id(current)] > limits.PICKLE_NESTING:
                raise malformed(f"The pickle's values are nested more than {limits.PICKLE_NESTING} deep.")
        elif id(current) in entered:
            raise malformed("The pickle holds a value that contains itself.")
        else:
            entered.add(id(current))
            waiting += missing


def _inner(value: object) -> list[object]:
    if isinstance(value, Instance):
        return [value.state]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [item for item in values if isinstance(item, list | tuple | dict | Instance)]
