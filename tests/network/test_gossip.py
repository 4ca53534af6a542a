"""New blocks sent unasked: heard once, from proven members only, within their rate."""

from overlay.network.community import BLOCK_MESSAGE
from overlay.network.gossip import FANOUT, MAX_REMEMBERED
from overlay.network.rates import MEMBER_GOSSIP
from tests.network.streams_world import run
from tests.network.trio import MEMBERS, block_of, close, two
from tests.network.village import Internet, Station, person, place, until


def test_a_members_block_is_heard_once_and_from_proven_addresses_only() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = await two(internet)
        block = block_of(baker.identity)
        farmer.hear(baker.where, bytes([BLOCK_MESSAGE]) + block.pack())
        assert farmer.drops == {"gossip from nobody proven": 1}
        await farmer.network.call(baker.key, "echo", b"")
        await until(lambda: baker.network.addresses())
        baker.network.gossip([block, block])
        await until(lambda: farmer.drops.get("gossip heard before") == 1)
        assert farmer.heard == [block]
        await close(farmer, baker)

    run(scene())


def test_gossip_that_is_none_is_counted_by_its_reason() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = await two(internet)
        await farmer.network.call(baker.key, "echo", b"")
        farmer.hear(baker.where, bytes([BLOCK_MESSAGE]) + b"no block")
        farmer.hear(baker.where, bytes([BLOCK_MESSAGE]) + block_of(person("stranger")).pack())
        assert farmer.drops == {"gossip that is no block": 1, "gossip of a stranger's block": 1}
        assert farmer.heard == []
        await close(farmer, baker)

    run(scene())


def test_a_flood_of_gossip_reaches_the_ledger_within_its_rate_and_memory_stays_bounded() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = await two(internet)
        await farmer.network.call(baker.key, "echo", b"")
        forged = block_of(baker.identity)
        for number in range(1, int(MEMBER_GOSSIP.burst) + 51):
            raw = bytearray(forged.pack())
            raw[74:78] = number.to_bytes(4)
            farmer.hear(baker.where, bytes([BLOCK_MESSAGE]) + bytes(raw))
        assert len(farmer.heard) == MEMBER_GOSSIP.burst
        assert farmer.drops == {"too much gossip": 50}
        assert len(farmer.network._gossip._remembered) <= MAX_REMEMBERED
        await close(farmer, baker)

    run(scene())


def test_gossip_goes_to_some_members_and_to_others_another_time() -> None:
    async def scene() -> None:
        internet = Internet()
        others = [person(f"member {number}") for number in range(3 * FANOUT)]
        farmer = await Station(internet, "farmer", 1, MEMBERS | {each.public_key for each in others}).open()
        for number, other in enumerate(others):
            farmer.network._whereabouts.prove(other.public_key, place(number + 10))
        reached = set()
        for sequence in range(1, 40):
            before = len(internet.sent)
            farmer.network.gossip([block_of(farmer.identity, sequence)])
            told = {target for _, target, datagram in internet.sent[before:]}
            assert len(told) == FANOUT
            reached |= told
        assert len(reached) == len(others)
        await close(farmer)

    run(scene())
