"""This member's key, as it may be shown."""

from overlay.keys import did_key
from overlay.node.actions.registry import query
from overlay.node.folder import DataFolder
from overlay.node.node import Node
from overlay.node.wire import KeyModel, Nothing


@query("key", "show")
def show(node: Node, ask: Nothing) -> KeyModel:
    """Show your public key, its did:key, and whether the key file is protected by a passphrase."""
    return describe(node.folder)


def describe(folder: DataFolder) -> KeyModel:
    """The key of a data folder; no passphrase is needed. Raises InvalidKey."""
    key = folder.public_key
    return KeyModel(key.hex(), did_key(key), folder.is_protected)
