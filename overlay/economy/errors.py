"""What the economy refuses to do."""


class Refused(Exception):
    """The ledger does not allow this; the message is one clear sentence for people."""


class TooLongAHistory(Refused):
    """A holding has passed through more hands than can be proven at once."""
