"""Why a network can't become editable."""

from app.core.errors import Invalid


class Unsupported(Invalid):
    """An operator stands in the way: which one, where in the user's module tree, and what to do about it."""

    default_code = "unsupported_operator"
    default_title = "The network holds an operator that can't be edited"

    def __init__(self, operator: str, where: str, advice: str) -> None:
        place = f"in `{where}`" if where else "in the network's own forward"
        super().__init__(f"`{operator}` {place}: {advice}")
        self.operator = operator
        self.where = where
        self.advice = advice
