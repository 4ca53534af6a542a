"""A commons of roles, as its baker's node would tell it: one struct for every read of the REST interface."""

import hashlib

from overlay.node.wire import (
    Ballot,
    CheatProof,
    CheatProofs,
    CommentModel,
    CommonsModel,
    ContentModel,
    DeliveryModel,
    Event,
    ExchangeModel,
    Exchanges,
    Group,
    GroupMember,
    Groups,
    HoldingModel,
    Holdings,
    InvitationModel,
    LegModel,
    Motion,
    Motions,
    People,
    Person,
    Picture,
    Proposal,
    Proposals,
    Reason,
    ReasonStep,
    Status,
    Tell,
    Vote,
    Voucher,
    Vouchers,
    Why,
    WithoutExchange,
    WorkModel,
)

NOW = 1_800_000_000_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def some_id(seed: str) -> str:
    """64 hex digits."""
    return hashlib.sha256(seed.encode()).hexdigest()


def key_of(role: str) -> str:
    """148 hex digits, as a public key has."""
    return b"LibNaCLPK:".hex() + some_id(role + "/box") + some_id(role)


def person(role: str, **given: object) -> Person:
    """A member; `given` replaces fields."""
    told: dict[str, object] = {
        "public_key": key_of(role),
        "short": some_id(role)[:10],
        "name": role,
        "about": "",
        "headless": False,
        "me": role == "baker",
        "online": True,
        "proven_cheat": False,
        "score": 0.0,
        "low": 0.0,
        "high": 0.0,
        "rank": None,
    }
    return Person(**(told | given))


def people() -> People:
    """The baker among five others."""
    return People(
        (
            person("baker", about="bread and rolls, every morning"),
            person("farmer", about="milk, eggs and a field", score=0.412, low=0.371, high=0.453, rank=1),
            person("mechanic", about="bicycles", online=False, score=0.238, low=0.19, high=0.286, rank=2),
            person("teacher", score=0.061, low=0.02, high=0.102, rank=3),
            person("night watch", headless=True, score=0.018, low=0.004, high=0.032, rank=4),
            person("tinker", online=False, proven_cheat=True, score=0.002, low=0.0, high=0.01, rank=5),
        )
    )


def voucher(promise: str, role: str, unit: str, minted: int, redeemed: int, **given: object) -> Voucher:
    """A promise of `role`."""
    told: dict[str, object] = {
        "id": some_id(promise),
        "issuer": key_of(role),
        "issuer_name": role,
        "promise": promise,
        "unit": unit,
        "terms": "",
        "expires": 0,
        "minted": minted,
        "redeemed": redeemed,
        "expired": 0,
        "outstanding": minted - redeemed,
        "picture": None,
    }
    return Voucher(**(told | given))


def vouchers() -> Vouchers:
    """Three promises of three members, one with a picture."""
    photo = Picture("ab" * 20, some_id("photo"), 183_000, "", 2)
    return Vouchers(
        (
            voucher("Bread of the week", "baker", "loaf", 1_200, 340, terms="collect on Fridays", picture=photo),
            voucher("Birthday cake", "baker", "cake", 6, 1, expires=NOW + 90 * DAY),
            voucher("Milk", "farmer", "litre", 400, 25),
            voucher("Bicycle repair", "mechanic", "hour", 40, 12, expires=NOW + 30 * DAY),
        )
    )


def holding(promise: str, role: str, unit: str, final: int, provisional: int = 0, pending: int = 0) -> HoldingModel:
    """What the baker holds of one promise."""
    return HoldingModel(some_id(promise), promise, unit, key_of(role), role, final, provisional, pending)


def holdings() -> Holdings:
    """Own bread still in hand, milk and repairs of others."""
    return Holdings(
        (
            holding("Bread of the week", "baker", "loaf", 640, pending=12),
            holding("Milk", "farmer", "litre", 18, provisional=4),
            holding("Bicycle repair", "mechanic", "hour", 3, pending=1),
        )
    )


def leg(giver: str, receiver: str, promise: str, unit: str, quantity: int) -> LegModel:
    """One leg of an exchange."""
    return LegModel(key_of(giver), key_of(receiver), some_id(promise), promise, unit, quantity)


def exchange(name: str, proposer: str, to: str, legs: tuple[LegModel, ...], **given: object) -> ExchangeModel:
    """An exchange of the baker's."""
    told: dict[str, object] = {
        "id": some_id(name),
        "agreement": "",
        "is_offer": False,
        "proposer": key_of(proposer),
        "proposer_name": proposer,
        "counterparty": key_of(to),
        "counterparty_name": to,
        "legs": legs,
        "wants": "",
        "deed": "",
        "note": "",
        "standing": "proposed",
        "waiting_for": "",
        "reason": "",
        "to_answer": False,
        "valid_until": NOW + 5 * HOUR,
        "timestamp": NOW - 12 * MINUTE,
    }
    return ExchangeModel(**(told | given))


def exchanges() -> Exchanges:
    """One to answer, one waiting, one of each outcome."""
    return Exchanges(
        (
            exchange(
                "milk for bread",
                "farmer",
                "baker",
                (leg("farmer", "baker", "Milk", "litre", 6),),
                is_offer=True,
                wants="12 loaf Bread of the week",
                to_answer=True,
                waiting_for="baker",
            ),
            exchange(
                "repair",
                "baker",
                "mechanic",
                (leg("baker", "mechanic", "Bicycle repair", "hour", 1),),
                note="the cargo bike, Tuesday",
                waiting_for="mechanic",
                timestamp=NOW - 2 * HOUR,
            ),
            exchange(
                "gift",
                "farmer",
                "baker",
                (leg("farmer", "baker", "Milk", "litre", 4),),
                standing="provisional",
                waiting_for="farmer",
                timestamp=NOW - 26 * HOUR,
            ),
            exchange(
                "swap",
                "baker",
                "farmer",
                (leg("baker", "farmer", "Bread of the week", "loaf", 20), leg("farmer", "baker", "Milk", "litre", 10)),
                standing="final",
                timestamp=NOW - 3 * DAY,
            ),
            exchange(
                "twice",
                "tinker",
                "baker",
                (leg("tinker", "baker", "Milk", "litre", 2),),
                standing="refused",
                reason="the farmer had confirmed another use before",
                timestamp=NOW - 20 * DAY,
            ),
        )
    )


def group(name: str, **given: object) -> Group:
    """A council of three with a treasury."""
    told: dict[str, object] = {
        "id": some_id(name),
        "name": name,
        "purpose": "keeps the mill and pays for its repairs",
        "members": (
            GroupMember(key_of("baker"), "baker", True, True, True),
            GroupMember(key_of("farmer"), "farmer", True, True, True),
            GroupMember(key_of("mechanic"), "mechanic", True, True, False),
        ),
        "approvals": 2,
        "threshold": 2,
        "stage": "ready",
        "i_am_member": True,
        "i_have_signed": True,
        "threshold_key": some_id("threshold"),
        "address": "bcrt1p" + some_id("address")[:58],
        "network": "regtest",
        "balance": 12_345_678,
    }
    return Group(**(told | given))


def groups() -> Groups:
    """One ready council, one charter that lacks the baker's signature."""
    waiting = (
        GroupMember(key_of("baker"), "baker", False, False, True),
        GroupMember(key_of("teacher"), "teacher", True, False, True),
    )
    return Groups(
        (
            group("Mill Council"),
            group(
                "Evening School",
                members=waiting,
                stage="charter",
                i_have_signed=False,
                purpose="pays for books",
                address="",
                balance=0,
            ),
        )
    )


def proposal(title: str, **given: object) -> Proposal:
    """A payment from the Mill Council."""
    told: dict[str, object] = {
        "id": some_id(title),
        "group": some_id("Mill Council"),
        "group_name": "Mill Council",
        "title": title,
        "reason": "the old one is cracked",
        "proposer": key_of("farmer"),
        "proposer_name": "farmer",
        "payee": key_of("mechanic"),
        "payee_name": "mechanic",
        "address": "bcrt1q" + some_id("payee")[:38],
        "amount": 1_250_000,
        "fee_cap": 10_000,
        "deadline": NOW + 30 * HOUR,
        "votes": (Vote(key_of("farmer"), "farmer", "yes", "we grind every day"),),
        "yes": 1,
        "no": 0,
        "abstain": 0,
        "needed": 2,
        "my_vote": "",
        "i_may_vote": True,
        "state": "open",
        "txid": "",
        "height": 0,
        "signers": (),
        "raw_tx": "",
    }
    return Proposal(**(told | given))


def proposals() -> Proposals:
    """One to vote on, one paid."""
    paid = (Vote(key_of("farmer"), "farmer", "yes", ""), Vote(key_of("baker"), "baker", "yes", "agreed"))
    return Proposals(
        (
            proposal("New millstone"),
            proposal(
                "Roof tiles",
                votes=paid,
                yes=2,
                my_vote="yes",
                state="paid",
                amount=480_000,
                deadline=NOW - 9 * DAY,
                signers=(key_of("baker"), key_of("farmer")),
                txid=some_id("tx"),
                height=112,
            ),
        )
    )


def ballot(role: str, choice: str, reason: str = "", *through: str) -> Ballot:
    """A vote of `role`."""
    return Ballot(key_of(role), role, choice, reason, through)


def motion(title: str, **given: object) -> Motion:
    """A text that the farmer proposes to the Mill Council."""
    told: dict[str, object] = {
        "id": some_id(title),
        "number": "2-17",
        "group": some_id("Mill Council"),
        "group_name": "Mill Council",
        "version": some_id("Mill Council"),
        "version_number": 1,
        "kind": "text",
        "title": title,
        "text": "the mill is open for all from ten to four",
        "content": None,
        "proposer": key_of("farmer"),
        "proposer_name": "farmer",
        "opened": NOW - HOUR,
        "deadline": NOW + 20 * HOUR,
        "rule": "majority,quorum=2",
        "votes": (ballot("farmer", "yes", "many ask for it"),),
        "yes": 1,
        "no": 0,
        "abstain": 0,
        "block": 0,
        "needed": 2,
        "missing": ("baker", "mechanic"),
        "counted_by": (),
        "can_still_pass": True,
        "state": "open",
        "final": False,
        "due": 0,
        "verdict": "can still pass: 1 of 2 yes votes, 2 may still vote",
        "obstacle": "",
        "comments": (),
        "changes": (),
        "work": None,
        "about": "",
    }
    return Motion(**(told | given))


def motions() -> Motions:
    """A text to vote on, an amendment that one has voted on, a work that is agreed to, and a payment's discussion."""
    said = (CommentModel(key_of("mechanic"), "mechanic", "who sweeps it?", NOW - 2 * HOUR),)
    evidence = ContentModel("cd" * 20, some_id("evidence"), 84_000, "/there/evidence.jpg")
    pump = WorkModel(
        key_of("mechanic"),
        "mechanic",
        "bcrt1q" + some_id("worker")[:38],
        50_000,
        (DeliveryModel(some_id("delivery"), "it runs again", evidence),),
        "",
    )
    grinding = (ballot("farmer", "yes", "we grind every day"),)
    blocked = (ballot("farmer", "block", "she has too much to do"), ballot("baker", "yes"))
    agreed = (ballot("farmer", "yes"), ballot("baker", "yes", "at last", "farmer"))
    return Motions(
        (
            motion("Open on Sundays", comments=said),
            motion(
                "The teacher joins",
                kind="amendment",
                text="",
                votes=blocked,
                block=1,
                changes=("admits teacher", "a payment then takes 2 of 4 yes votes"),
            ),
            motion("New millstone", kind="payment", votes=grinding, comments=said),
            motion(
                "Mend the pump",
                kind="work",
                text="before the summer",
                votes=agreed,
                yes=2,
                work=pump,
                state="approved",
                final=True,
                verdict="decided: enough members' nodes have counted enough votes",
                deadline=NOW - 2 * DAY,
            ),
        )
    )


def commons() -> CommonsModel:
    """The commons of the story."""
    return CommonsModel(some_id("commons"), "Riverside Commons", "neighbours who share work", key_of("farmer"))


def status(**given: object) -> Status:
    """The baker's node."""
    told: dict[str, object] = {
        "public_key": key_of("baker"),
        "name": "baker",
        "headless": False,
        "commons": commons(),
        "address": "192.0.2.7:8090",
        "content_address": "192.0.2.7:6881",
        "online": 4,
        "members": 6,
        "blocks": 1_204,
        "signing": "",
        "notices": ("The disk is nearly full: 240 MB are left.",),
        "counters": {},
        "pid": 1,
        "rss_mb": 61.5,
        "ledger": "",
        "version": "0.1.0",
    }
    return Status(**(told | given))


def why() -> Why:
    """Trust in the mechanic, along two paths."""
    baker, farmer, mechanic = "baker", "farmer", "mechanic"
    return Why(
        "mechanic",
        0.238,
        (
            Reason(0.7, (ReasonStep(baker, mechanic, 9, (some_id("1"), some_id("2"))),)),
            Reason(
                0.3, (ReasonStep(baker, farmer, 20, (some_id("3"),)), ReasonStep(farmer, mechanic, 4, (some_id("4"),)))
            ),
        ),
        (WithoutExchange(some_id("1"), baker, mechanic, 0.119),),
    )


def invitation() -> InvitationModel:
    """An invitation of the usual length with a drawn code."""
    line = "█▀▄ " * 11
    return InvitationModel("cf1" + some_id("invitation") * 4, "\n".join([line] * 22))


def event(topic: str, sentence: str = "Something happened.", *, time: int = NOW) -> Event:
    """Something that the node tells."""
    return Event(topic, sentence, some_id(sentence), time)  # type: ignore[arg-type]


def cheats() -> CheatProofs:
    """The tinker's two histories."""
    return CheatProofs((CheatProof(key_of("tinker"), "tinker", 7, some_id("one"), some_id("two")),))


def story() -> dict[str, Tell]:
    """Every read of the REST interface."""
    return {
        "status/show": status(),
        "people/list": people(),
        "people/cheats": cheats(),
        "trust/why": why(),
        "voucher/list": vouchers(),
        "voucher/holdings": holdings(),
        "exchange/list": exchanges(),
        "group/list": groups(),
        "proposal/list": proposals(),
        "proposal/recent": motions(),
    }
