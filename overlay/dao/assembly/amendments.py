"""Changes of a charter: members come and go, rules change, each by the rule that the charter has for it.

An amendment names the version that it changes. Once the nodes of `Charter.majority` members have counted enough votes
for it, it is the next version, and only one can be (`charters.adopted`). Proposals under the version before it are
decided no more; what was decided under it stays decided.
"""

from overlay.dao.assembly.bylaws import AMENDMENTS, amended
from overlay.dao.assembly.governance import NotAllowed, check_decidable
from overlay.dao.assembly.words import MAX_VERSIONS
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import AmendCharter


def propose_amendment(tx: Transaction, said: AmendCharter) -> HalfBlock:
    """Propose another version of a charter. Raises NotAllowed when no group could live by it."""
    base = check_decidable(tx, said.group, AMENDMENTS, said.deadline)
    if len(base.versions) > MAX_VERSIONS - 1:
        raise NotAllowed(f"a charter has at most {MAX_VERSIONS} versions: found another group")
    try:
        amended(base, BlockHash(bytes(32)), said)
    except ValueError as error:
        raise NotAllowed(str(error)) from error
    return tx.append(said)
