"""This member's key, as it may be shown."""

from overlay.node.wire.base import Tell


class KeyModel(Tell, frozen=True):
    """`did` names the signing half for other software; `protected` when the key file asks for a passphrase."""

    public_key: str
    did: str
    protected: bool
