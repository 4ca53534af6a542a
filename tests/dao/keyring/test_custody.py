"""A share is never stored: identity and public recovery data restore it, and nobody can take it away."""

import pytest

from overlay.dao.assembly import shares
from overlay.dao.frost import chilldkg
from overlay.dao.keyring import custody
from overlay.dao.keyring.custody import BadRecovery
from overlay.keys import Identity
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, GENESIS_HASH, HalfBlock
from overlay.trustchain.statements import HoldShare, SignCharter, encode
from tests.dao.group_town import GroupTown, Member
from tests.town import HandClock


def recovery_of(member: Member, town: GroupTown) -> bytes:
    found = custody.stored(member.ledger.db, member.group(town.id))
    assert found is not None
    return found


async def test_a_lost_device_is_restored_from_identity_and_recovery_data_alone(three: GroupTown) -> None:
    before, recovery = three.baker.share(three.id), recovery_of(three.farmer, three)
    charter = blocks.by_hash(three.farmer.ledger.db, three.id)
    assert charter is not None
    (three.folder / "new").mkdir()
    device = Member("baker", three.folder / "new", HandClock())
    device.open_ledger()
    try:
        await device.ledger.ingest([charter])
        await device.ledger.transact(lambda tx: custody.keep(tx, device.group(three.id), recovery))
        assert device.share(three.id) == before
    finally:
        device.ledger.close()


async def test_a_restored_node_asks_the_others_for_its_recovery_data_by_itself(three: GroupTown) -> None:
    baker, before = three.baker, three.baker.share(three.id)
    await three.stop(baker)
    (three.folder / "baker.db").unlink()
    await three.restart_from_nothing(baker)
    group = baker.group(three.id)
    assert custody.share_of(baker.ledger.db, baker.identity, group) is None
    assert baker.keygen.is_due(group)
    three.lines.offline.add(three.farmer.key)  # not even the founder is needed
    await baker.keygen.coordinate(group)
    assert baker.share(three.id) == before
    assert not baker.keygen.is_due(group)
    proposal = await three.approved(three.mechanic)
    assert (await three.pay(three.mechanic, proposal)).signers == (1, 2)


async def test_nothing_on_disk_is_secret(three: GroupTown) -> None:
    share = three.baker.share(three.id)
    secrets = (share.output.secshare, custody.host_secret(three.baker.identity, three.id))
    three.baker.ledger.db.execute("SELECT 1").fetchone()
    for path in three.folder.glob("baker.db*"):
        raw = path.read_bytes()
        assert all(secret is not None and secret not in raw for secret in secrets)


async def test_a_host_key_bound_anew_after_key_generation_takes_no_share_away(three: GroupTown) -> None:
    before = three.farmer.share(three.id)
    # A second history of the mechanic's, which begins with another host key.
    kind, transaction = encode(SignCharter(three.id, bytes([2]) + bytes([5]) * 32))
    fork = HalfBlock(three.mechanic.key, 1, ANYONE, 0, GENESIS_HASH, kind, transaction, 0)
    await three.mechanic.ledger.ingest([fork.signed_by(three.mechanic.identity)])
    await three.tell()
    assert blocks.has_forked(three.farmer.ledger.db, three.mechanic.key)
    assert three.farmer.share(three.id) == before
    assert shares.threshold_key(three.farmer.ledger.db, three.farmer.group(three.id)) == before.output.thresh_pk


async def test_recovery_data_of_another_key_generation_is_refused(three: GroupTown) -> None:
    group, baker = three.baker.group(three.id), three.baker
    other = generated([member.identity for member in three.all], three)
    with pytest.raises(BadRecovery, match="another key of the same group"):
        await baker.ledger.transact(lambda tx: custody.keep(tx, group, other))


async def test_recovery_data_is_refused_that_contradicts_what_we_said_on_the_ledger(empty_town: GroupTown) -> None:
    group = await empty_town.found(2, 2, ("farmer", "baker"))
    await empty_town.baker.say(HoldShare(empty_town.id, bytes([2]) + bytes([1]) * 32, bytes(32)))
    recovery = generated([member.identity for member in empty_town.all], empty_town)
    with pytest.raises(BadRecovery, match="another key"):
        await empty_town.baker.ledger.transact(lambda tx: custody.keep(tx, group, recovery))


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other members", "other threshold"])
async def test_damaged_or_foreign_recovery_data_is_refused(three: GroupTown, damage: str) -> None:
    good = recovery_of(three.farmer, three)
    identities = [member.identity for member in three.all]
    bad = {
        "cut": good[:-1],
        "flipped": good[:40] + bytes([good[40] ^ 1]) + good[41:],
        "empty": b"",
        "other members": generated([Identity.from_seed(bytes([n]) * 64) for n in range(3)], three),
        "other threshold": generated(identities, three, threshold=3),
    }[damage]
    with pytest.raises(BadRecovery):
        await three.baker.ledger.transact(lambda tx: custody.keep(tx, three.baker.group(three.id), bad))


def test_each_group_has_a_host_key_of_its_own() -> None:
    identity = Identity.from_seed(bytes([7]) * 64)
    keys = {custody.host_key(identity, bytes([n]) * 32) for n in range(20)}
    assert len(keys) == 20


def generated(identities: list[Identity], town: GroupTown, threshold: int = 2) -> bytes:
    """The recovery data of a key generation that really took place among these."""
    secrets = [custody.host_secret(identity, town.id) for identity in identities]
    params = chilldkg.SessionParams([chilldkg.hostpubkey_gen(secret) for secret in secrets], t=threshold)
    begun = [chilldkg.participant_step1(secret, params, bytes([1]) * 32) for secret in secrets]
    state, message = chilldkg.coordinator_step1([each for _, each in begun], params)
    certified = [
        chilldkg.participant_step2(secret, mine, message, bytes(32))[1]
        for secret, (mine, _) in zip(secrets, begun, strict=True)
    ]
    return chilldkg.coordinator_finalize(state, certified)[2]
