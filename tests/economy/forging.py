"""Signing what the economy would never sign, and the scenes in which that is tried."""

import msgspec

from overlay.economy import exchange
from overlay.economy.exchange import Amount
from overlay.economy.standing import current_holdings
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Body
from overlay.trustchain.statements import (
    AgreeExchange,
    Leg,
    ProposeExchange,
    Source,
    encode_part,
)
from tests.town import HOUR, START, Town, Townsperson

UNKNOWN = b"?" * 32


def leg(
    voucher: bytes,
    inputs: list[tuple[bytes, int]],
    quantity: int,
    change: int = 0,
    *,
    from_proposer: bool = True,
    parts: int = 1,
) -> Leg:
    return Leg(from_proposer, voucher, tuple(Source(*each) for each in sorted(inputs)), quantity, change, parts, ())


async def propose(who: Townsperson, to: Townsperson, *legs: Leg, until: int = START + HOUR) -> HalfBlock:
    body = Body([encode_part(each) for each in legs], who.random)
    return await who.forge(ProposeExchange(until, body.root, 0, None), to=to.key, body=body)


async def answer(who: Townsperson, proposal: HalfBlock) -> HalfBlock:
    return await who.forge(AgreeExchange(proposal.hash, 0), link=proposal)


async def everyone_meets(*people: Townsperson) -> None:
    """Everyone gets every block and part that anyone has."""
    for one in people:
        for other in people:
            rows = one.ledger.db.execute("SELECT hash FROM block").fetchall()
            await one.show(other, *(each for (each,) in rows))


async def a_hoard(town: Town) -> tuple[Townsperson, Townsperson, BlockHash]:
    baker, farmer = town.person("baker"), town.person("farmer")
    bread = await baker.mint("bread", 100)
    given = await baker.give(farmer, bread, 100)
    await town.carry()
    await farmer.agree(given)
    await town.carry()
    assert farmer.holds(bread) == 100
    return baker, farmer, given


async def a_voucher_of(holder: Townsperson) -> BlockHash:
    return current_holdings(holder.ledger.db, holder.key, START)[0].holding.voucher


def held_in_all(observer: Townsperson, voucher: bytes, *holders: Townsperson) -> int:
    return sum(
        each.holding.quantity
        for holder in holders
        for each in current_holdings(observer.ledger.db, holder.key, observer.clock.now())
        if each.holding.voucher == voucher
    )


async def two_issuers_swap(
    town: Town,
) -> tuple[Townsperson, Townsperson, Townsperson, Townsperson, BlockHash, BlockHash]:
    """A farmer holds bread, a mechanic holds produce: both given by issuers who are not parties to their swap."""
    baker, grower, farmer, mechanic = (town.person(role) for role in ("baker", "grower", "farmer", "mechanic"))
    bread, produce = await baker.mint("bread", 100), await grower.mint("produce", 100)
    for issuer, holder, voucher in ((baker, farmer, bread), (grower, mechanic, produce)):
        given = await issuer.give(holder, voucher, 100)
        await town.carry()
        await holder.agree(given)
        await town.carry()
    await baker.show(mechanic, bread)
    await baker.show(grower, bread)
    await grower.show(farmer, produce)
    await grower.show(baker, produce)
    return baker, grower, farmer, mechanic, bread, produce


async def swap(
    town: Town,
    offerer: Townsperson,
    give: tuple[bytes, int],
    acceptor: Townsperson,
    want: tuple[bytes, int],
    *,
    without: tuple[Townsperson, ...] = (),
) -> BlockHash:
    """One offers, the other takes it up; what the offerer's node then does by itself is done, too."""
    until = town.clock.now() + HOUR
    amounts = [Amount(BlockHash(voucher), quantity) for voucher, quantity in (give, want)]
    offer = await offerer.do(lambda tx: exchange.offer_swap(tx, offerer.random, acceptor.key, *amounts, until))
    await town.carry(without=without)
    proposal = await acceptor.do(lambda tx: exchange.accept_offer(tx, acceptor.random, offer.hash))
    await town.carry(without=without)
    return proposal.hash


async def give_blindly(giver: Townsperson, taker: Townsperson, *legs: Leg) -> tuple[HalfBlock, HalfBlock]:
    """A proposal and an agreement that nobody checked."""
    proposal = await propose(giver, taker, *legs)
    await giver.show(taker, proposal.hash)
    agreement = await answer(taker, proposal)
    await taker.show(giver, agreement.hash)
    return proposal, agreement


async def agree_to_a_swap_of_two_issuers(
    town: Town,
) -> tuple[list[Townsperson], HalfBlock, HalfBlock, dict[Townsperson, int]]:
    """The baker's and the grower's vouchers change hands between others; also which parts each of them judges."""
    baker, grower, farmer, mechanic, bread, produce = await two_issuers_swap(town)
    proposal = await swap(town, farmer, (bread, 100), mechanic, (produce, 100), without=(baker, grower))
    block = farmer.ledger.block(proposal)
    assert block is not None
    (agreement,) = blocks.linked_to(farmer.ledger.db, block)
    masks = {baker: 2, grower: 1}  # the mechanic took up the farmer's offer: its own leg comes first
    return [baker, grower, farmer, mechanic], block, agreement, masks


def words_about(who: Townsperson, proposal: HalfBlock) -> list[bool]:
    rows = who.ledger.db.execute(
        "SELECT w.first FROM voucher_witness w JOIN half ON half.id = w.proposal WHERE hash = ?"
        " ORDER BY w.author, w.sequence",
        (proposal.hash,),
    )
    return [bool(first) for (first,) in rows]


def replace_leg(old: Leg, **fields: object) -> Leg:
    return msgspec.structs.replace(old, **fields)
