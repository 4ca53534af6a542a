"""What a member is told about trust: defined answers for everyone, reasons, and the same after a restart."""

import base64
import io
import random
from pathlib import Path

import pytest
from PIL import Image

from overlay.economy.members import Commons
from overlay.keys import Identity
from overlay.meritrank.feedback import FeedbackView
from overlay.node import wire
from overlay.node.actions import trust
from overlay.node.reputation import Opinions
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.ledger import Changes, Ledger
from overlay.trustchain.statements import AgreeExchange, ProposeExchange
from tests.meritrank.test_feedback import block
from tests.node.conftest import Served
from tests.town import HandClock, SeededRandomness

FARMER, BAKER, MECHANIC, WELDER = (Identity.from_seed(bytes([number]) * 64) for number in (1, 2, 3, 4))
COMMONS = Commons(BlockHash(bytes(32)), FARMER.public_key, "bridge", "", 1)


def fulfilled(receiver: Identity, provider: Identity, worth: int, at: int = 1) -> tuple[HalfBlock, HalfBlock]:
    half = block(receiver, ProposeExchange(1, bytes(32), worth, None), to=provider.public_key, sequence=at)
    answer = block(provider, AgreeExchange(half.hash, 0), to=receiver.public_key, link=at, sequence=at)
    return half, answer


async def test_scores_follow_the_ledger_and_survive_a_restart(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "x.db", FARMER, [FeedbackView()], HandClock(), SeededRandomness("x"))
    opinions = Opinions(FARMER, COMMONS)
    assert not opinions.follow(ledger.db)
    await ledger.ingest(fulfilled(FARMER, BAKER, 3))
    assert opinions.follow(ledger.db)
    assert opinions.score(BAKER.public_key).value > 0
    assert opinions.limit(BAKER.public_key) in (2, 3)
    again = Opinions(FARMER, COMMONS)
    again.restore(ledger.db, opinions.save())
    assert again.score(BAKER.public_key) == opinions.score(BAKER.public_key)
    for damaged in (None, b"", b"nonsense", opinions.save()[:-1]):
        again.restore(ledger.db, damaged)
        assert again.score(BAKER.public_key) == opinions.score(BAKER.public_key)
    ledger.close()


async def test_who_is_proven_to_have_cheated_keeps_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "x.db", FARMER, [FeedbackView()], HandClock(), SeededRandomness("x"))
    opinions = Opinions(FARMER, COMMONS)
    await ledger.ingest([*fulfilled(FARMER, BAKER, 3), *fulfilled(FARMER, MECHANIC, 3, at=2)])
    opinions.follow(ledger.db)
    assert opinions.score(BAKER.public_key).value > 0
    other = block(BAKER, ProposeExchange(2, bytes(32), 0, None), to=FARMER.public_key)
    await ledger.ingest([other])
    opinions.follow(ledger.db)
    assert opinions.score(BAKER.public_key).value == 0
    assert opinions.score(MECHANIC.public_key).value > 0
    ledger.close()


def said_by(opinions: Opinions) -> list[object]:
    people = [FARMER, BAKER, MECHANIC, WELDER]
    return [opinions.score(each.public_key) for each in people] + [opinions.rank(each.public_key) for each in people]


@pytest.mark.parametrize("seed", range(12))
async def test_what_changes_say_comes_to_the_same_as_all_that_the_ledger_says(tmp_path: Path, seed: int) -> None:
    """Whatever the order: answers before halves, two answers to one half, answers by strangers, forks in between."""
    chance, people = random.Random(seed), [FARMER, BAKER, MECHANIC, WELDER]
    found = []
    for at in range(1, 15):
        receiver, provider, stranger = chance.sample(people, 3)
        half, answer = fulfilled(receiver, provider, chance.randint(0, 3), at)
        again = block(provider, AgreeExchange(half.hash, 5), to=receiver.public_key, link=at, sequence=at + 50)
        found += [half, answer, *chance.sample([again], chance.randint(0, 1))]
        found.append(block(stranger, AgreeExchange(half.hash, 9), to=receiver.public_key, link=at, sequence=at + 80))
        if chance.random() < 0.1:
            found.append(block(provider, ProposeExchange(2, bytes(32), 0, None), to=stranger.public_key, sequence=at))
    chance.shuffle(found)
    ledger = Ledger(tmp_path / "x.db", FARMER, [FeedbackView()], HandClock(), SeededRandomness("x"), "NORMAL")
    opinions, waiting = Opinions(FARMER, COMMONS), Changes()
    ledger.listeners.append(waiting.add)
    while found:
        await ledger.ingest([found.pop() for _ in range(min(len(found), chance.randint(1, 4)))])
        if chance.random() < 0.7:
            before = said_by(opinions)
            changed, waiting.blocks, waiting.forks = opinions.follow(ledger.db, waiting), [], []
            alike = Opinions(FARMER, COMMONS)
            alike.follow(ledger.db)
            assert said_by(opinions) == said_by(alike)
            assert changed or said_by(opinions) == before
    assert not opinions.follow(ledger.db, Changes()) or waiting.blocks
    ledger.close()


async def test_one_more_exchange_is_not_paid_for_with_a_look_at_all_others(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "x.db", FARMER, [FeedbackView()], HandClock(), SeededRandomness("x"), "NORMAL")
    opinions, work = Opinions(FARMER, COMMONS), []
    for size in (1, 400):
        await ledger.ingest([each for at in range(2, size + 2) for each in fulfilled(BAKER, MECHANIC, 1, at + size)])
        opinions.follow(ledger.db)
        steps: list[int] = []
        heard = Changes()
        ledger.listeners.append(heard.add)
        await ledger.ingest(fulfilled(FARMER, BAKER, 1, 1_000 + size))
        ledger.db.set_progress_handler(lambda steps=steps: steps.append(1), 10)  # type: ignore[misc]
        assert opinions.follow(ledger.db, heard)
        ledger.db.set_progress_handler(None, 0)
        work.append(len(steps))
    assert work[1] < 2 * work[0]
    ledger.close()


async def test_an_empty_ledger_has_answers_too(served: Served) -> None:
    await served.found_commons()
    node = served.node
    shown = await trust.show(node, wire.AskTrust("farmer"))
    assert (shown.member, shown.rank, shown.limit) == ("farmer", 0, 0)
    assert (await trust.why(node, wire.AskTrust("farmer"))).reasons == ()
    assert (await trust.report(node, wire.AskReport("farmer", 10))).attacks
    assert (await trust.top(node, wire.AskTop(3))).members == ()
    drawn = await trust.picture(node, wire.Nothing())
    assert drawn.svg.startswith("<svg")
    Image.open(io.BytesIO(drawn.png)).verify()
    status, told = await served.ask("GET", "/v1/trust/picture")
    assert status == 200
    assert base64.b64decode(told["png"]) == drawn.png
