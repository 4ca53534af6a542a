"""Payments that a group's members propose, vote on, and sign."""

from overlay.dao.assembly import governance
from overlay.dao.assembly.charters import current
from overlay.dao.assembly.governance import Outcome
from overlay.dao.assembly.groups import Charter, Payment, charters, payments, payouts
from overlay.dao.bitcoin import address
from overlay.dao.funds import treasury
from overlay.keys import PublicKey
from overlay.node.actions import treasury as treasury_actions
from overlay.node.actions.lookup import block_hash, find_member, name_of
from overlay.node.actions.motions import called
from overlay.node.actions.registry import BadRequest, NotFound, action, query
from overlay.node.node import Node
from overlay.node.wire import CastVote, Done, Nothing, Payee, Proposal, Proposals, ProposePayment, Vote
from overlay.trustchain.statements import FurtherPayee, ProposePayments
from overlay.trustchain.statements import ProposePayment as ProposePaymentStatement

MINUTE = 60_000
# More satoshis than there will ever be have 17 digits.
MAX_DIGITS = 16


@action("proposal", "pay")
async def pay(node: Node, ask: ProposePayment) -> Done:
    """Propose that a group pays from its treasury, to one payee or several at once."""
    group = current(node.db, block_hash(ask.group))
    if group is None:
        raise NotFound("this node knows no such group")
    deadline = node.clock.now() + ask.minutes * MINUTE
    first = FurtherPayee(find_member(node, ask.payee), address.decode(ask.address, node.config.chain), ask.amount)
    fields = (group.version, ask.title, ask.reason, first.payee, first.script, first.amount)
    more = tuple(_further(node, each) for each in ask.also)
    if more:
        said: ProposePaymentStatement = ProposePayments(*fields, ask.fee_cap, deadline, more)
    else:
        said = ProposePaymentStatement(*fields, ask.fee_cap, deadline)
    await treasury_actions.check_affordable(node, said)
    block = await node.ledger.transact(lambda tx: governance.propose_payment(tx, said))
    return Done(block.hash.hex())


def _payee_names(node: Node, asked: Payment) -> str:
    first = called(node, PublicKey(asked.payee))
    return f"{first} and {len(asked.more)} more" if asked.more else first


def _further(node: Node, text: str) -> FurtherPayee:
    """One of `also`. A member's name may hold commas, addresses and amounts hold none."""
    name, _, rest = text.rpartition(",")[0].rpartition(",")
    amount = text.rpartition(",")[2].strip()
    if not name or not amount.isascii() or not amount.isdigit() or len(amount) > MAX_DIGITS:
        raise BadRequest(f"'{text[:40]}' is not a further payee: write member,address,satoshis")
    return FurtherPayee(find_member(node, name), address.decode(rest.strip(), node.config.chain), int(amount))


@action("proposal", "vote")
async def vote(node: Node, ask: CastVote) -> Done:
    """Vote on a proposal; the latest of your votes counts until it is decided."""
    proposal = block_hash(ask.proposal)
    block = await node.ledger.transact(lambda tx: governance.cast_vote(tx, proposal, ask.choice, ask.reason))
    return Done(block.hash.hex())


@query("proposal", "list")
def proposals(node: Node, ask: Nothing) -> Proposals:
    """List the payments that were proposed in all groups, their votes, and what was paid."""
    found = [_proposal(node, group, asked) for group in charters(node.db) for asked in payments(node.db, group)]
    return Proposals(tuple(sorted(found, key=lambda proposal: (-proposal.deadline, proposal.id))))


def _proposal(node: Node, group: Charter, asked: Payment) -> Proposal:
    stands = governance.tally(node.db, group, asked, node.clock.now())
    paid, done = payouts(node.db, group, asked.id), treasury.signed(node.db, asked.id)
    txid = paid[0].txid.hex() if paid else done.txid if done else ""
    ours = tuple(group.members[at] for at in done.signers) if done else ()
    signers = (paid[0].signers if paid else ()) or (ours if done and done.txid == txid else ())
    me = node.identity.public_key
    mine = [ballot.choice for ballot in stands.ballots if ballot.voter == me]
    return Proposal(
        id=asked.id.hex(),
        group=group.id.hex(),
        group_name=group.name,
        title=asked.title,
        reason=asked.reason,
        proposer=asked.proposer.hex(),
        proposer_name=name_of(node, asked.proposer),
        payee=asked.payee.hex(),
        payee_name=_payee_names(node, asked),
        address=address.encode(asked.script, node.config.chain) or asked.script.hex(),
        amount=asked.total,
        fee_cap=asked.fee_cap,
        deadline=asked.deadline,
        votes=tuple(
            Vote(each.voter.hex(), name_of(node, each.voter), each.choice, each.reason) for each in stands.ballots
        ),
        yes=stands.count("yes"),
        no=stands.count("no"),
        abstain=stands.count("abstain"),
        needed=stands.needed,
        my_vote=mine[0] if mine else "",
        i_may_vote=me in group.members and stands.outcome is Outcome.OPEN,
        state="paid" if paid else "signed" if done else stands.outcome.value,
        txid=txid,
        height=paid[0].height if paid else 0,
        signers=tuple(each.hex() for each in signers),
        raw_tx=done.raw.hex() if done else "",
        payees=tuple(
            Payee(
                each.key.hex(),
                called(node, each.key),
                address.encode(each.script, node.config.chain) or each.script.hex(),
                each.amount,
            )
            for each in asked.payees
        ),
    )
