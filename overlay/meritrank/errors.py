"""What can be wrong with feedback, decays, files and saved walks. Each error carries its culprit."""


class ReputationError(ValueError):
    """The base of all errors of this package: the caller's input was refused and nothing was changed."""


class InvalidWeight(ReputationError):
    """A weight is not a whole number within the limits."""

    def __init__(self, weight: object, why: str) -> None:
        super().__init__(f"the weight {weight!r} is refused: {why}")
        self.weight = weight


class SelfFeedback(ReputationError):
    """A member gave feedback to itself."""

    def __init__(self, member: bytes) -> None:
        super().__init__(f"member {member[-8:].hex()} cannot vouch for itself")
        self.member = member


class ConflictingEvidence(ReputationError):
    """One block hash was recorded twice with different contents."""

    def __init__(self, block_hash: bytes) -> None:
        super().__init__(f"block {block_hash.hex()} is already recorded with another edge or weight")
        self.block_hash = block_hash


class InvalidDecay(ReputationError):
    """A decay is outside its range."""

    def __init__(self, name: str, value: object, why: str) -> None:
        super().__init__(f"{name} = {value!r} is refused: {why}")
        self.name = name
        self.value = value


class MalformedTable(ReputationError):
    """A line of a graph file cannot be read. `line` and `column` count from 1; column counts fields."""

    def __init__(self, file: str, line: int, column: int, why: str) -> None:
        super().__init__(f"{file}, line {line}, column {column}: {why}")
        self.file = file
        self.line = line
        self.column = column


class DamagedWalks(ReputationError):
    """Saved walks cannot be trusted: cut short, altered, or of another format."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the saved walks cannot be used: {why}")


class StaleWalks(ReputationError):
    """Saved walks belong to another state of the ledger, another member, seed or decay; calculate afresh."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the saved walks belong to another {what}; calculate afresh")
        self.what = what
