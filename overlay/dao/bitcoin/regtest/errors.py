"""What can go wrong in the regtest service, and whom it concerns."""

# Error codes of Bitcoin Core's RPC (its protocol.h), as far as this service gives them.
MISC_ERROR = -1
TYPE_ERROR = -3
INVALID_ADDRESS_OR_KEY = -5
INSUFFICIENT_FUNDS = -6
INVALID_PARAMETER = -8
DESERIALIZATION_ERROR = -22
VERIFY_ERROR = -25
VERIFY_REJECTED = -26
VERIFY_ALREADY_IN_CHAIN = -27
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INTERNAL_ERROR = -32603
PARSE_ERROR = -32700


class RegtestError(Exception):
    """The service can't run: folder, port or library; one clear sentence for whoever starts it."""


class RpcError(Exception):
    """A call that fails with one of the codes above; the client is told both."""

    def __init__(self, code: int, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


class BlockRefused(Exception):
    """The kernel holds a block invalid; `reason` is its short text, such as bad-cb-amount."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Refused(Exception):
    """The mempool does not take a transaction. `reason` is Bitcoin Core's short text, `detail` its figures."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}, {detail}" if detail else reason)
