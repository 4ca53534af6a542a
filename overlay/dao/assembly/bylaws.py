"""What a charter says: who belongs, how each class of decisions is made, and what an amendment makes of it.

Pure: nothing here reads the ledger. A charter is one *version*; its first is the founding block, each further one the
amendment that was adopted. Whoever once belonged keeps the place in the `roster`, so numbers of proposals last.
"""

from dataclasses import dataclass, replace

from overlay.dao.assembly import rules
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import (
    MAX_MEMBERS,
    AmendCharter,
    FoundAssembly,
    FoundCouncil,
    FoundGroup,
    FoundLimitedCouncil,
    Limits,
    Rule,
)

PAYMENTS, TEXTS, AMENDMENTS, WORKS = "payments", "texts", "amendments", "works"
# Where a charter does not say how it is changed: two thirds of the members.
USUAL_AMENDMENTS = Rule("supermajority", 66)
# Where the key of a member that is a group has the key's prefix and its halves: nobody can sign for it.
GROUP_PREFIX = b"counterfoil group".ljust(42, b"\0")


@dataclass(frozen=True, slots=True)
class Charter:
    """One version of a group's charter: `members` in the order that numbers their shares at the founding.

    `id` is the founding block and never changes; `versions` lead from it to this one. `rivals` are the amendments of
    this version that were both adopted, which takes members who signed two histories: such a group decides no more.
    """

    id: BlockHash
    founder: PublicKey
    name: str
    purpose: str
    members: tuple[PublicKey, ...]
    threshold: int
    payments: Rule
    texts: Rule
    amendments: Rule
    works: Rule
    versions: tuple[BlockHash, ...]
    roster: tuple[PublicKey, ...]
    limits: Limits | None = None
    rivals: tuple[BlockHash, ...] = ()

    @property
    def version(self) -> BlockHash:
        """The block that made this version."""
        return self.versions[-1]

    @property
    def approvals(self) -> int:
        """How many yes votes pay when all vote: never less than shares, so that those who said yes can sign."""
        return max(self.threshold, rules.fewest(self.payments, len(self.members)))

    @property
    def majority(self) -> int:
        """How many members' nodes have to agree where only one of several proposals can be decided.

        Two sets of so many have a member in common, and a member's chain has one first word.
        """
        return max(self.threshold, len(self.members) // 2 + 1)

    def rule(self, subject: str) -> Rule:
        """The rule for a class of decisions."""
        return {PAYMENTS: self.payments, TEXTS: self.texts, AMENDMENTS: self.amendments, WORKS: self.works}[subject]


def seat(group: bytes) -> PublicKey:
    """The member that a group is in another group: 74 bytes that nobody has a secret for."""
    return PublicKey(GROUP_PREFIX + group)


def group_of(member: bytes) -> BlockHash | None:
    """The group that a member is; None for a person."""
    return BlockHash(member[len(GROUP_PREFIX) :]) if member.startswith(GROUP_PREFIX) else None


def rules_of(said: FoundGroup | FoundCouncil) -> tuple[Rule, Rule]:
    """How a charter decides on payments and on texts."""
    if isinstance(said, FoundCouncil):
        return said.payments, said.texts
    simple = Rule("count", said.approvals)
    return simple, simple


def founded(id_: BlockHash, founder: PublicKey, said: FoundGroup | FoundCouncil) -> Charter:
    """The first version of a charter."""
    payments, texts = rules_of(said)
    members = tuple(PublicKey(member) for member in said.members)
    return Charter(
        id=id_,
        founder=founder,
        name=said.name,
        purpose=said.purpose,
        members=members,
        threshold=said.threshold,
        payments=payments,
        texts=texts,
        amendments=said.amendments if isinstance(said, FoundAssembly) else USUAL_AMENDMENTS,
        works=said.works if isinstance(said, FoundAssembly) else payments,
        versions=(id_,),
        roster=members,
        limits=said.limits if isinstance(said, FoundLimitedCouncil | FoundAssembly) else None,
    )


def fault(said: FoundGroup | FoundCouncil, founder: bytes) -> str | None:
    """Why these words found no group; None when they do.

    More shares than yes votes would let a payment be approved that nobody can sign: who said no gives no share.
    """
    if founder not in said.members:
        return "the founder of a group is one of its members"
    if isinstance(said, FoundGroup) and said.threshold > said.approvals:
        return (
            f"{said.approvals} yes votes would approve what only {said.threshold} members can sign:"
            " a charter asks for at least as many yes votes as shares"
        )
    return fault_of(founded(BlockHash(bytes(32)), PublicKey(founder), said))


def fault_of(charter: Charter) -> str | None:
    """Why a group cannot live by this charter; None when it can."""
    size = len(charter.members)
    if len(set(charter.members)) < size:
        return "a charter names each member once"
    if charter.threshold > size:
        return f"{charter.threshold} shares can never be brought together by a group of {size}"
    all_rules = (charter.payments, charter.texts, charter.amendments, charter.works)
    return next((found for rule in all_rules if (found := rules.fault(rule, size))), None)


def amended(base: Charter, id_: BlockHash, said: AmendCharter) -> Charter:
    """The version that an amendment makes. Raises ValueError with a sentence where it makes none."""
    admitted, removed = tuple(map(PublicKey, said.admit)), set(said.remove)
    _check_membership(base, admitted, removed)
    new = {each.subject: each.rule for each in said.rules}
    if len(new) < len(said.rules):
        raise ValueError("an amendment names each class of decisions once")
    made = replace(
        base,
        members=(*(member for member in base.members if member not in removed), *admitted),
        threshold=said.threshold or base.threshold,
        payments=new.get(PAYMENTS, base.payments),
        texts=new.get(TEXTS, base.texts),
        amendments=new.get(AMENDMENTS, base.amendments),
        works=new.get(WORKS, base.works),
        versions=(*base.versions, id_),
        roster=(*base.roster, *(member for member in admitted if member not in base.roster)),
        rivals=(),
    )
    wrong = fault_of(made) if made.members else "a group has at least one member"
    if wrong is not None:
        raise ValueError(wrong)
    if replace(made, versions=base.versions) == base:
        raise ValueError("this amendment changes nothing")
    return made


def _check_membership(base: Charter, admitted: tuple[PublicKey, ...], removed: set[bytes]) -> None:
    if set(admitted) & set(base.members):
        raise ValueError("an amendment admits who is not a member yet")
    if removed - set(base.members):
        raise ValueError("an amendment removes members only")
    if any(group_of(member) for member in admitted):
        raise ValueError("a group becomes a member of another group at the other's founding only")
    if len(base.members) + len(admitted) - len(removed) > MAX_MEMBERS:
        raise ValueError(f"a group has at most {MAX_MEMBERS} members")
