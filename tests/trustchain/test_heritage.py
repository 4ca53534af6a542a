"""What py-ipv8 2.4 asked of a TrustChain holds here: its 52 tests of blocks and 30 of the community, and their holders.

The left side is a property by the name that it has there, the right side a test of ours (`file::test`) which fails
when the property is broken, or why it does not apply. What had no test elsewhere has it below.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from overlay.economy.holdings import HoldingsView
from overlay.keys import Identity
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock, unpack
from overlay.trustchain.faults import chain_faults
from overlay.trustchain.ledger import Ledger, meaning
from overlay.trustchain.statements import Profile, ProposeExchange, encode
from overlay.trustchain.validation import Fault, check
from tests.town import HandClock, SeededRandomness

TESTS = Path(__file__).parent.parent
HERE = "trustchain/test_heritage.py"
BLOCK, VALID, LEDGER = "trustchain/test_block.py", "trustchain/test_validation.py", "trustchain/test_ledger.py"
FAULTS, ADVERSARY, EXCHANGE = "economy/test_faults.py", "economy/test_adversary.py", "economy/test_exchange.py"
BOUNDS, KEEPING = "economy/test_bounds.py", "node/test_keeping.py"
SYNC, COURIER, GOSSIP = "network/test_sync.py", "network/test_courier.py", "network/test_gossip.py"

KNOWN_BESIDE = f"{HERE}::test_a_block_is_judged_alone_and_a_gap_is_where_the_chain_breaks_off"
SAME_PLACE = f"{HERE}::test_a_block_that_differs_at_a_known_place_is_proof_or_forged"
FOLLOWS = f"{HERE}::test_a_block_names_the_one_before_it_or_its_author_is_named"
WRONG_ANSWER = f"{FAULTS}::test_an_answer_that_names_one_proposal_and_links_to_another_and_a_second_answer"
NOT_SIGNED = f"{BLOCK}::test_numbers_and_times_at_the_limits_of_the_format_survive"  # unsigned on the wire

OF_BLOCKS = {
    "hash": f"{BLOCK}::test_the_hash_of_an_empty_block_is_that_of_py_ipv8",
    "sign": f"{BLOCK}::test_the_signature_covers_everything_but_itself",
    "create_genesis": f"{BLOCK}::test_a_first_block_has_number_one_and_no_predecessor",
    "create_next": f"{BLOCK}::test_a_next_block_names_the_hash_of_the_one_before",
    "create_link_genesis": f"{BLOCK}::test_an_answer_links_to_the_key_and_number_of_what_it_answers",
    "create_link_next": f"{BLOCK}::test_an_answer_links_to_the_key_and_number_of_what_it_answers",
    "validation_level_no_blocks_genesis": KNOWN_BESIDE,
    "validation_level_no_blocks": KNOWN_BESIDE,
    "validation_level_next_block_no_gap_genesis": KNOWN_BESIDE,
    "validation_level_next_block_no_gap": KNOWN_BESIDE,
    "validation_level_next_block_gap_genesis": KNOWN_BESIDE,
    "validation_level_next_block_gap": KNOWN_BESIDE,
    "validation_level_prev_block_no_gap": KNOWN_BESIDE,
    "validation_level_prev_block_gap": KNOWN_BESIDE,
    "validation_level_both_block_gap": KNOWN_BESIDE,
    "validation_level_both_block_next_gap": KNOWN_BESIDE,
    "validation_level_both_block_prev_gap": KNOWN_BESIDE,
    "invariant_tx_errors": f"{HERE}::test_a_malformed_statement_is_kept_and_means_nothing",
    "invariant_negative_sq": f"{VALID}::test_a_refusal_names_the_culprit_and_the_first_fault",
    "invariant_link_negative_sq": NOT_SIGNED,
    "invariant_link_null_pointer": f"{VALID}::test_a_refusal_names_the_culprit_and_the_first_fault",
    "invariant_negative_timestamp": NOT_SIGNED,
    "invariant_invalid_key": f"{BLOCK}::test_keys_must_be_member_keys_and_the_link_may_be_nobody",
    "invariant_invalid_link_key": f"{BLOCK}::test_keys_must_be_member_keys_and_the_link_may_be_nobody",
    # Refused there; legal here, because the kotlin apps make such blocks. Yet nothing is exchanged with oneself.
    "invariant_linked_own_key": f"{HERE}::test_a_block_linked_to_its_own_key_is_kept_and_proposes_nothing",
    "invariant_genesis_sq": f"{VALID}::test_a_refusal_names_the_culprit_and_the_first_fault",
    "invariant_genesis_hash": f"{VALID}::test_a_refusal_names_the_culprit_and_the_first_fault",
    "block_consistency_link_key": SAME_PLACE,
    "block_consistency_link_sq": SAME_PLACE,
    "block_consistency_previous_hash": SAME_PLACE,
    "block_consistency_signature": SAME_PLACE,
    "block_consistency_hash": SAME_PLACE,
    "link_consistency_key": WRONG_ANSWER,
    "link_consistency_key_theirs": f"{ADVERSARY}::test_a_second_agreement_elsewhere_or_by_somebody_else_is_none",
    "link_consistency_key_ours": f"{ADVERSARY}::test_a_second_agreement_elsewhere_or_by_somebody_else_is_none",
    "link_consistency_sq_invalid": WRONG_ANSWER,
    "link_consistency_sq_valid_ours": f"{LEDGER}::test_linked_halves_are_found",
    "link_consistency_sq_valid_theirs": f"{LEDGER}::test_linked_halves_are_found",
    "link_consistency_double_countersign": WRONG_ANSWER,
    "chain_consistency_no_blocks": FOLLOWS,
    "chain_consistency_previous_block": FOLLOWS,
    "chain_consistency_key_previous_block": f"{HERE}::test_a_block_of_another_chain_is_no_predecessor",
    "chain_consistency_sq_previous_block": FOLLOWS,
    "chain_consistency_hash_previous_block": FOLLOWS,
    "chain_consistency_hash_previous_block_gap": FOLLOWS,
    "chain_consistency_next_block": FOLLOWS,
    "chain_consistency_key_next_block": f"{HERE}::test_a_block_of_another_chain_is_no_predecessor",
    "chain_consistency_sq_next_block": FOLLOWS,
    "chain_consistency_hash_next_block": FOLLOWS,
    "chain_consistency_hash_next_block_gap": FOLLOWS,
    "iter": f"{BLOCK}::test_a_packed_block_unpacks_to_the_same_block_with_the_same_hash",
    "hash_function": f"{BLOCK}::test_a_changed_copy_has_a_hash_of_its_own",
}

OF_THE_COMMUNITY = {
    "sign_half_block": f"{COURIER}::test_everything_that_is_owed_arrives_and_is_forgotten",
    "sign_full_block": f"{EXCHANGE}::test_a_swap_moves_both_legs_and_is_final_for_both",
    "get_linked": f"{LEDGER}::test_linked_halves_are_found",
    "crawl": f"{SYNC}::test_a_long_chain_is_fetched_checked_and_stored",
    "crawl_default": f"{SYNC}::test_heads_are_compared_with_one_peer_after_another_without_being_told",
    "crawl_no_blocks": f"{HERE}::test_of_an_unknown_chain_nothing_is_told",
    # There are no negative places here: whoever asks names the first place that it lacks.
    "crawl_negative_index": "network/test_messages.py::test_a_message_is_read_at_its_limit_and_not_beyond",
    "crawl_lowest_unknown": f"{LEDGER}::test_the_first_gap_is_where_a_chain_breaks_off",
    "crawl_pair": "network/test_joining.py::test_members_join_by_invitation_and_learn_each_others_chains",
    "parallel_blocks": f"{LEDGER}::test_own_blocks_form_one_chain",
    "retrieve_missing_block": f"{SYNC}::test_what_is_missing_comes_from_whoever_has_it",
    "send_block_pair": f"{COURIER}::test_everything_that_is_owed_arrives_and_is_forgotten",
    # Nothing is relayed here, so nobody's word says how far: gossip goes one step, comparing heads does the rest.
    "broadcast_half_block": f"{GOSSIP}::test_gossip_goes_to_some_members_and_to_others_another_time",
    "broadcast_half_block_pair": f"{GOSSIP}::test_a_members_block_is_heard_once_and_from_proven_addresses_only",
    "intro_response_crawl": f"{SYNC}::test_heads_are_compared_with_one_peer_after_another_without_being_told",
    "empty_crawl": f"{HERE}::test_of_an_unknown_chain_nothing_is_told",
    # There a chain was cut back to its last valid block; here none gets in, and a damaged file is said to be damaged.
    "invalid_block": f"{LEDGER}::test_a_refused_block_is_named_and_the_others_of_its_message_are_kept",
    "half_block_self_signed": f"{LEDGER}::test_own_blocks_form_one_chain",
    "half_block_link_block": f"{LEDGER}::test_linked_halves_are_found",
    "link_block_multiple": f"{LEDGER}::test_linked_halves_are_found",
    # There the oldest blocks were deleted, whose ever they were; here what concerns nobody here, and never a proof.
    "db_remove": f"{KEEPING}::test_a_full_node_forgets_what_concerns_nobody_and_fetches_it_again_when_it_does",
    "database_cleanup": f"{KEEPING}::test_what_proves_ones_own_outlives_the_chains_that_it_came_through",
    "double_spend": f"{LEDGER}::test_two_blocks_at_one_place_are_proof_the_same_for_everyone",
    "chain_crawl_with_gaps": f"{HERE}::test_a_gap_is_filled_by_what_is_told_from_it_on",
    "chain_crawl": f"{SYNC}::test_a_long_chain_is_fetched_checked_and_stored",
    "chain_crawl_unknown_length": f"{SYNC}::test_a_long_chain_is_fetched_checked_and_stored",
    "crawl_linked_block": "network/test_joining.py::test_members_join_by_invitation_and_learn_each_others_chains",
    "process_block_unrelated_block": f"{COURIER}::test_a_stranger_among_the_authors_is_refused_and_the_others_taken",
    "process_block": f"{EXCHANGE}::test_a_swap_moves_both_legs_and_is_final_for_both",
    "process_block_crawl": f"{BOUNDS}::test_an_issuer_gives_its_word_when_the_history_arrives_after_the_exchange",
}

FARMER, BAKER = Identity.from_seed(b"f" * 64), Identity.from_seed(b"b" * 64)


def test_all_of_them_are_held_by_tests_that_are_there() -> None:
    assert (len(OF_BLOCKS), len(OF_THE_COMMUNITY)) == (52, 30)
    for held_by in {*OF_BLOCKS.values(), *OF_THE_COMMUNITY.values()}:
        file, name = held_by.split("::")
        assert f"def {name}(" in (TESTS / file).read_text(), held_by


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "ledger.db", BAKER, [], HandClock(), SeededRandomness("baker"))
    yield made
    made.close()


def chain(length: int, author: Identity = FARMER) -> list[HalfBlock]:
    found: list[HalfBlock] = []
    previous = GENESIS_HASH
    for number in range(1, length + 1):
        kind, transaction = encode(Profile(f"{number}", ""))
        block = HalfBlock(author.public_key, number, ANYONE, 0, previous, kind, transaction, 0).signed_by(author)
        found.append(block)
        previous = block.hash
    return found


@pytest.mark.parametrize(
    ("known", "new", "gap"),
    [
        ((), 1, 2),
        ((), 4, 1),
        ((2,), 1, 3),
        ((5,), 4, 1),
        ((3,), 1, 2),
        ((6,), 4, 1),
        ((1, 2, 3), 4, 5),
        ((1, 2), 4, 3),
        ((1, 2, 6), 4, 3),
        ((1, 2, 3, 6), 4, 5),
        ((1, 2, 5), 4, 3),
    ],
)
async def test_a_block_is_judged_alone_and_a_gap_is_where_the_chain_breaks_off(
    ledger: Ledger, known: tuple[int, ...], new: int, gap: int
) -> None:
    whole = chain(6)
    assert await ledger.ingest([whole[at - 1] for at in known]) == []
    assert check(whole[new - 1]) is None
    assert await ledger.ingest([whole[new - 1]]) == []
    assert blocks.first_gap(ledger.db, FARMER.public_key) == gap
    assert chain_faults(ledger.db, FARMER.public_key) == []  # what an unknown block may explain is none


@pytest.mark.parametrize(
    "change",
    [
        {"link_public_key": BAKER.public_key},
        {"link_public_key": BAKER.public_key, "link_sequence_number": 7},
        {"previous_hash": BlockHash(b"p" * 32)},
        {"transaction": b"other"},
        {"timestamp": 1},
    ],
    ids=lambda change: "+".join(change),
)
async def test_a_block_that_differs_at_a_known_place_is_proof_or_forged(
    ledger: Ledger, change: dict[str, object]
) -> None:
    known = chain(3)[2]
    await ledger.ingest([known])
    (refused,) = await ledger.ingest([replace(known, **change)])  # type: ignore[arg-type]
    assert refused.fault is Fault.SIGNATURE
    assert not blocks.has_forked(ledger.db, FARMER.public_key)
    twice = replace(known, **change).signed_by(FARMER)  # type: ignore[arg-type]
    assert await ledger.ingest([twice]) == []
    assert blocks.forks(ledger.db) == [tuple(sorted([known, twice], key=lambda block: block.hash))]


@pytest.mark.parametrize(
    ("known", "names", "is_fault"),
    [
        ((), 2, False),
        ((2,), 2, False),
        ((2,), 1, True),
        ((1,), 1, False),  # what it names is known, but not as its predecessor: the one at place 2 may be
        ((1, 2), 1, True),
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["predecessor first", "predecessor last"])
async def test_a_block_names_the_one_before_it_or_its_author_is_named(
    ledger: Ledger, known: tuple[int, ...], names: int, is_fault: bool, late: bool
) -> None:
    whole = chain(3)
    block = replace(whole[2], previous_hash=whole[names - 1].hash).signed_by(FARMER)
    found = [whole[at - 1] for at in known] + [block]
    await ledger.ingest(reversed(found) if late else found)
    told = chain_faults(ledger.db, FARMER.public_key)
    assert [fault.culprit for fault in told] == ([FARMER.public_key] if is_fault else [])
    if is_fault:
        assert told[0].blocks == (block.hash, whole[1].hash)


async def test_a_block_of_another_chain_is_no_predecessor(ledger: Ledger) -> None:
    bakers, farmers = chain(2, BAKER), chain(1)
    stray = replace(chain(2)[1], previous_hash=bakers[0].hash).signed_by(FARMER)
    await ledger.ingest([*bakers, stray])
    assert chain_faults(ledger.db, FARMER.public_key) == []
    await ledger.ingest(farmers)
    (fault,) = chain_faults(ledger.db, FARMER.public_key)
    assert fault.blocks == (stray.hash, farmers[0].hash)
    assert chain_faults(ledger.db, BAKER.public_key) == []


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x92\xa7profile\xa1x", b"\x90"])
async def test_a_malformed_statement_is_kept_and_means_nothing(ledger: Ledger, raw: bytes) -> None:
    block = HalfBlock(FARMER.public_key, 1, ANYONE, 0, GENESIS_HASH, b"declare", raw, 0).signed_by(FARMER)
    assert await ledger.ingest([block]) == []
    assert meaning(block) is None
    kept = blocks.by_hash(ledger.db, block.hash)
    assert kept is not None
    assert unpack(kept.pack()) == block


async def test_a_block_linked_to_its_own_key_is_kept_and_proposes_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "own.db", BAKER, [HoldingsView()], HandClock(), SeededRandomness("baker"))
    kind, transaction = encode(ProposeExchange(1, b"r" * 32, 0, None))
    key = FARMER.public_key
    own = HalfBlock(key, 1, key, 0, GENESIS_HASH, kind, transaction, 0).signed_by(FARMER)
    answer = HalfBlock(key, 2, key, 1, own.hash, b"foreign", b"", 0).signed_by(FARMER)
    assert await ledger.ingest([own, answer]) == []
    assert [each.hash for each in blocks.linked_to(ledger.db, own)] == [answer.hash]
    assert ledger.db.execute("SELECT count(*) FROM voucher_proposal").fetchone() == (0,)
    ledger.close()


async def test_of_an_unknown_chain_nothing_is_told(ledger: Ledger) -> None:
    assert blocks.chain(ledger.db, FARMER.public_key, 1, 9, 9) == []
    assert blocks.head(ledger.db, FARMER.public_key) is None
    assert blocks.first_gap(ledger.db, FARMER.public_key) == 1


async def test_a_gap_is_filled_by_what_is_told_from_it_on(ledger: Ledger) -> None:
    whole = chain(5)
    await ledger.ingest([whole[1], whole[3]])
    missing = blocks.first_gap(ledger.db, FARMER.public_key)
    assert missing == 1
    await ledger.ingest(whole[missing - 1 :])
    assert blocks.chain(ledger.db, FARMER.public_key, 1, 9, 9) == whole
    assert blocks.first_gap(ledger.db, FARMER.public_key) == 6
