"""Who is at the other end: the certificate, the whole 74 bytes, and every way to pretend."""

import asyncio

import pytest
from aioquic.quic.events import HandshakeCompleted
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from overlay.keys import Identity, PublicKey
from overlay.network.quic_certificate import InvalidCertificate, make_certificate, read_certificate, signing_key
from overlay.network.quic_errors import Address, PeerUnreachable, WrongPeer
from overlay.network.streams import Streams
from tests.network.streams_rogue import (
    Rogue,
    RogueConnection,
    RogueServer,
    claimed,
    common_name,
    forged_certificate,
    rogue_client,
    rogue_configuration,
)
from tests.network.streams_world import (
    Internet,
    address,
    ask,
    echo,
    identity,
    join,
    refuse_all,
    run,
    until,
)

FARMER, BAKER = identity("farmer"), identity("baker")
# The twin has the farmer's Ed25519 half and another X25519 half.
TWIN = Identity.from_seed(BAKER.secret[10:42] + FARMER.secret[42:])


def test_a_certificate_gives_back_the_whole_key() -> None:
    for who in (FARMER, BAKER, TWIN):
        assert read_certificate(make_certificate(who.public_key, signing_key(who))) == who.public_key


def test_the_same_key_gives_the_same_certificate() -> None:
    one, other = (make_certificate(FARMER.public_key, signing_key(FARMER)) for _ in range(2))
    assert one == other


HALF = FARMER.public_key[10:42].hex()
SUBJECTS = {
    "nothing": [],
    "two names": [common_name(HALF), common_name(HALF)],
    "another attribute": [x509.NameAttribute(NameOID.ORGANIZATION_NAME, HALF)],
    "upper case": [common_name(HALF.upper())],
    "one byte less": [common_name(HALF[2:])],
    "no hexadecimal": [common_name("z" * 64)],
    "spaces between digits": [common_name(HALF[:30] + "  " + HALF[30:62])],
}


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS.keys())
def test_a_certificate_with_any_other_subject_names_nobody(subject: list[x509.NameAttribute[str]]) -> None:
    with pytest.raises(InvalidCertificate, match="common name"):
        read_certificate(forged_certificate(FARMER.public_key[42:], FARMER, subject))


# Points of order 1, 2, 4 and 8, as libsodium lists them.
SMALL_ORDER = [
    bytes([1]) + bytes(31),
    bytes([0xEC]) + bytes([0xFF]) * 30 + bytes([0x7F]),
    bytes(32),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
]


@pytest.mark.parametrize("point", SMALL_ORDER, ids=["order 1", "order 2", "order 4", "order 8"])
def test_a_key_of_small_order_is_nobodys(point: bytes) -> None:
    with pytest.raises(InvalidCertificate, match="small order"):
        read_certificate(forged_certificate(point, FARMER, [common_name(HALF)]))


def test_the_presented_key_must_be_the_expected_one() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, mechanic = join(internet, "farmer", 1), join(internet, "mechanic", 3, refuse_all)
        with pytest.raises(WrongPeer) as caught:
            await farmer.streams.request(BAKER.public_key, mechanic.where, b"secret", timeout=5)
        assert (caught.value.peer, caught.value.presented) == (BAKER.public_key, mechanic.key)

    run(scene())


def test_the_wrong_peer_never_learns_who_called() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, server = join(internet, "farmer", 1), RogueServer(internet, 3, identity("mechanic"))
        with pytest.raises(WrongPeer):
            await farmer.streams.request(BAKER.public_key, address(3), b"secret", timeout=5)
        await asyncio.sleep(1)
        assert server.rogue is not None
        assert server.rogue.connection.tls._peer_certificate is None

    run(scene())


def test_two_keys_that_share_their_ed25519_half_are_two_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.network.streams_world.identity", lambda name: TWIN if name == "twin" else identity(name))

    async def scene() -> None:
        seen: list[PublicKey] = []

        async def note(peer: PublicKey, address: Address, request: bytes) -> bytes:
            seen.append(peer)
            return request

        internet = Internet()
        baker, twin = join(internet, "baker", 2, note), join(internet, "twin", 3, who=TWIN)
        with pytest.raises(WrongPeer) as caught:
            await baker.streams.request(FARMER.public_key, twin.where, b"?", timeout=5)
        assert caught.value.presented == TWIN.public_key
        await ask(twin, baker, b"!")
        assert seen == [TWIN.public_key]
        assert TWIN.public_key[42:] == FARMER.public_key[42:]

    run(scene())


def impostor(internet: Internet) -> Rogue:
    """A client that shows the farmer's certificate and signs with its own key."""
    configuration = rogue_configuration(identity("rogue"))
    configuration.certificate = claimed(FARMER.public_key, identity("rogue"))
    return Rogue(internet, 9, RogueConnection(configuration))


def nameless(internet: Internet) -> Rogue:
    """A client that shows no certificate."""
    configuration = rogue_configuration(identity("rogue"))
    configuration.certificate = None
    return Rogue(internet, 9, RogueConnection(configuration))


def misnamed(internet: Internet) -> Rogue:
    """A client whose certificate has a key that it holds, and a subject that is no X25519 half."""
    who = identity("rogue")
    configuration = rogue_configuration(who)
    configuration.certificate = forged_certificate(who.public_key[42:], who, [common_name("farmer")])
    return Rogue(internet, 9, RogueConnection(configuration))


def of_another_curve(internet: Internet) -> Rogue:
    """A client with a P-256 certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    configuration = rogue_configuration(identity("rogue"))
    configuration.certificate = make_certificate(FARMER.public_key, signing_key(FARMER))
    configuration.private_key = key
    return Rogue(internet, 9, RogueConnection(configuration))


@pytest.mark.parametrize("make", [impostor, nameless, misnamed, of_another_curve])
def test_a_client_that_does_not_prove_a_key_is_refused_before_its_request(make: object) -> None:
    async def scene() -> None:
        assert callable(make)
        internet = Internet()
        baker, rogue = join(internet, "baker", 2, refuse_all), make(internet)
        rogue.connect(baker.where)
        rogue.connection.send_stream_data(0, b"pay me", end_stream=True)
        rogue.flush()
        await until(lambda: rogue.is_over)
        assert baker.streams.connections == 0

    run(scene())


def test_a_client_that_proves_a_key_is_served_under_that_key() -> None:
    """What the refusals above are measured against: the rogue is let in when it forges nothing."""

    async def scene() -> None:
        seen: list[PublicKey] = []

        async def note(peer: PublicKey, address: Address, request: bytes) -> bytes:
            seen.append(peer)
            return request

        internet = Internet()
        baker, (rogue, connection) = join(internet, "baker", 2, note), rogue_client(internet)
        rogue.connect(baker.where)
        connection.send_stream_data(0, b"hello", end_stream=True)
        await until(lambda: bool(seen))
        assert seen == [identity("rogue").public_key]

    run(scene())


def test_a_handshake_diverted_to_another_commons_fails() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, refuse_all, commons=bytes(20))
        with pytest.raises(PeerUnreachable):
            await ask(farmer, baker, b"?", timeout=5)

    run(scene())


def test_an_unknown_application_protocol_is_refused() -> None:
    async def scene() -> None:
        internet = Internet()
        baker = join(internet, "baker", 2, refuse_all)
        configuration = rogue_configuration(identity("rogue"))
        configuration.alpn_protocols = ["h3"]
        rogue = Rogue(internet, 9, RogueConnection(configuration))
        rogue.connect(baker.where)
        await until(lambda: rogue.is_over)
        assert not any(isinstance(event, HandshakeCompleted) for event in rogue.heard)
        assert baker.streams.connections == 0

    run(scene())


def test_datagrams_reflected_to_their_sender_prove_nothing() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer = join(internet, "farmer", 1, refuse_all)
        mirror = address(8)
        internet.receivers[mirror] = lambda source, datagram: internet.deliver(mirror, source, datagram)
        with pytest.raises(WrongPeer) as caught:
            await farmer.streams.request(BAKER.public_key, mirror, b"?", timeout=5)
        assert caught.value.presented == farmer.key

    run(scene())


def test_a_relay_in_between_sees_only_ciphertext_and_proves_no_key() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, echo)
        relay, carried = address(8), bytearray()

        def pass_on(source: Address, datagram: bytes) -> None:
            carried.extend(datagram)
            internet.deliver(relay, baker.where if source == farmer.where else farmer.where, datagram)

        internet.receivers[relay] = pass_on
        answer = await farmer.streams.request(baker.key, relay, b"the price of flour", timeout=5)
        assert answer == b"the price of flour"
        assert b"flour" not in carried
        assert farmer.key[42:] not in carried
        with pytest.raises(WrongPeer):
            await farmer.streams.request(identity("mechanic").public_key, relay, b"?", timeout=5)

    run(scene())


def test_streams_never_show_the_secret() -> None:
    async def scene() -> None:
        farmer = join(Internet(), "farmer", 1)
        assert isinstance(farmer.streams, Streams)
        assert FARMER.secret[42:].hex() not in repr(vars(farmer.streams))

    run(scene())
