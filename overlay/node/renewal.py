"""A new key for a member whose key is proven to have signed two histories: a new data folder beside the old one.

The old folder stays as it is, and its node signs nothing any more. The new one begins with the claim to go on for the
old key, and has everything that the old node knew: blocks, disclosed parts, what it owed others, where they are. It
belongs to the commons once a member vouches for the claim.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from overlay.economy.claiming import make_claim
from overlay.economy.errors import Refused
from overlay.files import write_file
from overlay.keys import SECRET_BYTES, Identity, PublicKey
from overlay.node.config import CONFIG_FILE
from overlay.node.folder import KEY_FILE, DataFolder, UnusableFolder
from overlay.node.ledger import open_ledger
from overlay.node.node import Node
from overlay.node.vault import Work
from overlay.trustchain import blocks, outbox
from overlay.trustchain.block import GENESIS_HASH, GENESIS_SEQUENCE, BlockHash, HalfBlock
from overlay.trustchain.ledger import Ledger, Transaction

SUFFIX = "-renewed"
# Blocks that are carried over in one transaction: 1,000 signatures are 50 ms of one core.
BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Renewal:
    """The new data folder, its key, and the claim that members are to vouch for."""

    folder: Path
    public_key: PublicKey
    claim: HalfBlock


async def renew(node: Node) -> Renewal:
    """Make the new folder, or finish making it. Raises Refused, FolderInUse, UnusableFolder, StorageError."""
    if not blocks.has_forked(node.db, node.identity.public_key):
        raise Refused("your key is not proven to have signed two histories: it needs no successor")
    path = node.folder.path.with_name(node.folder.path.name + SUFFIX)
    _make_key(node, path)
    folder = DataFolder(path, node.random, node.folder.passphrase)
    try:
        ledger = open_ledger(folder, node.clock, node.random)
        try:
            claim = await _claim(node, ledger, folder.identity)
            await _carry_over(node.db, ledger)
        finally:
            ledger.close()
        if (node.folder.path / CONFIG_FILE).exists() and not (path / CONFIG_FILE).exists():
            write_file(path / CONFIG_FILE, (node.folder.path / CONFIG_FILE).read_bytes())
    finally:
        folder.close()
    await node.ledger.transact(lambda tx: tx.store(claim))  # by which the old folder knows that it is replaced
    return Renewal(path, folder.public_key, claim)


def _make_key(node: Node, path: Path) -> None:
    """A key that is never on disk without the passphrase that protects the old one."""
    if (path / KEY_FILE).exists():
        return
    identity = Identity.from_seed(node.random.bytes(SECRET_BYTES))
    content = node.folder.protected_alike(identity, node.random, Work.moderate(node.random))
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(path / KEY_FILE, content)
    except OSError as error:
        raise UnusableFolder(f"{path}: the data folder cannot be made: {error.strerror}") from error


async def _claim(node: Node, ledger: Ledger, new: Identity) -> HalfBlock:
    """The first block of the new chain, which is made once."""
    known = blocks.at(ledger.db, new.public_key, GENESIS_SEQUENCE)
    claim = known[0] if known else make_claim(node.identity, new, _before_the_fork(node), node.clock.now())
    await ledger.transact(lambda tx: tx.store(claim))
    return claim


def _before_the_fork(node: Node) -> BlockHash:
    """The last block that all histories of the old key have in common, as far as this node knows."""
    agent = blocks.agent_of(node.db, node.identity.public_key)
    (first,) = node.db.execute("SELECT min(sequence) FROM forked WHERE agent = ?", (agent,)).fetchone()
    found = blocks.at(node.db, node.identity.public_key, first - 1)
    return found[0].hash if found else GENESIS_HASH


async def _carry_over(old: sqlite3.Connection, ledger: Ledger) -> None:
    """Blocks with their parts first, then what refers to them. What is there already is not taken twice."""
    numbers = [number for (number,) in old.execute("SELECT id FROM half WHERE agent IS NOT NULL ORDER BY id")]
    for at in range(0, len(numbers), BATCH):
        found = [block for number in numbers[at : at + BATCH] if (block := blocks.by_id(old, number)) is not None]
        await ledger.ingest(found, [part for block in found for part in blocks.parts(old, block.hash)])
    await ledger.transact(lambda tx: _copy_settings(old, tx))


def _copy_settings(old: sqlite3.Connection, tx: Transaction) -> None:
    """The commons, where its members are, whom the member follows, and what is still owed to others."""
    for table, where in (("node_setting", "name = 'commons'"), ("node_contact", "1"), ("node_following", "1")):
        for row in old.execute(f"SELECT * FROM {table} WHERE {where}").fetchall():  # noqa: S608 - names of ours
            places = ",".join("?" * len(row))
            tx.db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({places})", row)  # noqa: S608
    for receiver in outbox.receivers(old):
        query = "SELECT block, parts FROM outbox WHERE receiver = ?"
        for block, parts in old.execute(query, (blocks.agent_of(old, receiver),)).fetchall():
            tx.post(receiver, blocks.hash_of(old, block), parts)
