"""One sentence per thing that changed, for the event stream of the interfaces."""

from collections.abc import Iterator

from overlay.economy.members import member
from overlay.keys import PublicKey, short
from overlay.trustchain.block import HalfBlock
from overlay.trustchain.ledger import Changes, Ledger, meaning
from overlay.trustchain.statements import (
    AcceptWork,
    AdmitMember,
    AgreeExchange,
    AgreeTally,
    AmendCharter,
    Anything,
    CancelExchange,
    CastVote,
    Comment,
    Decide,
    Delegate,
    DeliverWork,
    FoundAssembly,
    FoundCouncil,
    FoundGroup,
    FoundLimitedCouncil,
    HoldShare,
    InstructVote,
    Mint,
    OfferSwap,
    Profile,
    ProposeDocument,
    ProposeExchange,
    ProposePayment,
    ProposePayments,
    ProposeText,
    ProposeWork,
    RecordPayout,
    SignCharter,
    SucceedKey,
    VouchForKey,
    Witness,
)

# Which screen each statement concerns, and what happened, in words.
_HEADLINES: dict[type[Anything], tuple[str, str]] = {
    AdmitMember: ("people", "{who} admitted a new member."),
    SucceedKey: ("people", "{who} goes on for a key that is worn out, once members vouch for it."),
    VouchForKey: ("people", "{who} spoke about whose new key it is."),
    Profile: ("people", "{who} introduced themselves."),
    Mint: ("vouchers", "{who} made a new promise."),
    OfferSwap: ("exchanges", "{who} offered {whom} a swap."),
    ProposeExchange: ("exchanges", "{who} proposed an exchange to {whom}."),
    AgreeExchange: ("exchanges", "{who} agreed to an exchange with {whom}."),
    CancelExchange: ("exchanges", "{who} took back or declined an exchange with {whom}."),
    Witness: ("exchanges", "{who} gave its word on an exchange."),
    AgreeTally: ("content", "{who} and {whom} settled bandwidth."),
    FoundGroup: ("groups", "{who} wrote a charter."),
    SignCharter: ("groups", "{who} signed a charter."),
    HoldShare: ("groups", "{who} holds a share of a treasury."),
    ProposePayment: ("proposals", "{who} proposed a payment."),
    ProposePayments: ("proposals", "{who} proposed payments to several."),
    ProposeText: ("proposals", "{who} proposed a text."),
    ProposeDocument: ("proposals", "{who} proposed a text."),
    AmendCharter: ("proposals", "{who} proposed to change a charter."),
    ProposeWork: ("proposals", "{who} proposed a piece of work."),
    DeliverWork: ("proposals", "{who} delivered a piece of work."),
    AcceptWork: ("proposals", "{who} proposed to accept a piece of work."),
    InstructVote: ("proposals", "{who} proposed how a group votes in a council."),
    FoundCouncil: ("groups", "{who} wrote a charter."),
    FoundLimitedCouncil: ("groups", "{who} wrote a charter."),
    FoundAssembly: ("groups", "{who} wrote a charter."),
    Delegate: ("groups", "{who} left votes to another, or took them back."),
    Comment: ("proposals", "{who} said something about a proposal."),
    CastVote: ("proposals", "{who} voted."),
    Decide: ("proposals", "{who} counted the votes of a proposal."),
    RecordPayout: ("proposals", "{who} saw a payment mined."),
}


def headlines(ledger: Ledger, changes: Changes) -> Iterator[tuple[str, str, str]]:
    """(topic, sentence, id) for each change that an interface shows."""
    for fork in changes.forks:
        who = _name(ledger, fork.culprit)
        yield "cheats", f"{who} has signed two histories: this is proven.", fork.culprit.hex()
    for block in changes.blocks:
        said = meaning(block)
        if said is not None and type(said) in _HEADLINES:
            yield _headline(ledger, block, said)
    if changes.parts:
        yield "exchanges", "The terms of an exchange arrived.", changes.parts[-1].block.hex()


def _headline(ledger: Ledger, block: HalfBlock, said: Anything) -> tuple[str, str, str]:
    topic, sentence = _HEADLINES[type(said)]
    who, whom = _name(ledger, block.public_key), _name(ledger, block.link_public_key)
    return topic, sentence.replace("{who}", who).replace("{whom}", whom), block.hash.hex()


def _name(ledger: Ledger, key: PublicKey) -> str:
    return member(ledger.db, key).name or short(key)
