"""What a transaction would meet in the network, as an Esplora server shows it: for our own judgement of it."""

from overlay.dao.bitcoin import acceptance
from overlay.dao.bitcoin.acceptance import Rival, Spent, Surroundings
from overlay.dao.bitcoin.backend import BackendError, Rejected
from overlay.dao.bitcoin.esplora_answers import Spending, read_txid
from overlay.dao.bitcoin.esplora_reader import EsploraReader, Outpoint, is_coinbase, together
from overlay.dao.bitcoin.transaction import Transaction, Txid, parse

MISSING = "bad-txns-inputs-missingorspent"


async def surroundings(reader: EsploraReader, transaction: Transaction) -> Surroundings:
    """What `transaction` spends, whom it would replace, and the best block.

    Raises BackendError, and Rejected where it spends what is not there, or waits already.
    """
    spent = await _spent_by(reader, transaction)
    rivals = await _rivals(reader, transaction)
    timed = transaction.locktime >= acceptance.LOCKTIME_THRESHOLD
    median_time = await reader.median_time() if timed else 0
    return Surroundings(spent, rivals, await reader.height(), median_time)


async def _spent_by(reader: EsploraReader, transaction: Transaction) -> list[Spent]:
    return await together(_spent(reader, (each.txid, each.vout)) for each in transaction.inputs)


async def _spent(reader: EsploraReader, outpoint: Outpoint) -> Spent:
    output, transaction = await reader.output(outpoint), await reader.transaction(outpoint[0])
    if output is None or transaction is None:
        raise Rejected(MISSING)
    place = await reader.place(outpoint[0])
    return Spent(output, None if place is None else place.height, is_coinbase(transaction))


async def _rivals(reader: EsploraReader, transaction: Transaction) -> list[Rival]:
    """Waiting transactions that spend the same; what builds on them is not looked at."""
    spendings = await together(reader.spending(each.txid, each.vout) for each in transaction.inputs)
    txids = dict.fromkeys(_spender(each) for each in spendings if each.spent)
    if transaction.txid in txids:
        raise Rejected("txn-already-in-mempool")
    return await together(_rival(reader, txid) for txid in txids)


async def _rival(reader: EsploraReader, txid: Txid) -> Rival:
    raw = await reader.raw(txid)
    if raw is None:
        raise BackendError("the Bitcoin server does not have a transaction that it says waits")
    transaction = parse(raw)
    given = sum(each.output.amount for each in await _spent_by(reader, transaction))
    return Rival(given - sum(each.amount for each in transaction.outputs), transaction.vsize)


def _spender(spending: Spending) -> Txid:
    """Who waits and spends an output; raises Rejected where a confirmed one does."""
    if spending.txid is None or spending.status is None:
        raise BackendError("the Bitcoin server does not say who spends an output")
    if spending.status.confirmed:
        raise Rejected(MISSING)
    return read_txid(spending.txid)
