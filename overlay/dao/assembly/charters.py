"""Groups as their members wrote them: charters in all their versions.

Nobody can undo what stands, and so a version that was adopted stays. It is adopted when the nodes of
`Charter.majority` members of the one before it, each with its first word about its successor, have counted enough votes
for it. Only members who sign two histories can make two versions follow one; then the group decides no more.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace

import msgspec

from overlay.dao.assembly import rules
from overlay.dao.assembly.bylaws import (
    AMENDMENTS,
    USUAL_AMENDMENTS,
    WORKS,
    Charter,
    amended,
    fault,
    group_of,
    rules_of,
)
from overlay.dao.assembly.words import MAX_VERSIONS, Evidence, Word, earliest, first_in_slot, path, words
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.connection import once
from overlay.trustchain.statements import AmendCharter, Limits, Rule

__all__ = [
    "Charter",
    "adopted",
    "adopters",
    "before_adoption",
    "charter",
    "charters",
    "current",
    "fault",
    "honest",
    "least_named",
    "rules_of",
    "spoken",
    "versions",
]

# A council whose members are councils of groups; what is nested deeper has no voice.
DEPTH = 3

_rule_decoder = msgspec.msgpack.Decoder(Rule)
_limits_decoder = msgspec.msgpack.Decoder(Limits)
_amendment_decoder = msgspec.msgpack.Decoder(AmendCharter)


def charters(db: sqlite3.Connection) -> list[Charter]:
    """All groups that this node knows as their charters stand now, in the order of their ids."""
    return [found for (id_,) in db.execute("SELECT id FROM group_charter ORDER BY id") if (found := current(db, id_))]


def charter(db: sqlite3.Connection, version: bytes) -> Charter | None:
    """A charter in exactly this version, by whose rules what names it is judged; None if it was never adopted."""
    return next((found for found in versions(db, version) if found.version == version), None)


def current(db: sqlite3.Connection, group: bytes, depth: int = DEPTH) -> Charter | None:
    """The charter of a group, named by any of its versions, as it stands now."""
    return next(reversed(list(versions(db, group, depth))), None)


def versions(db: sqlite3.Connection, group: bytes, depth: int = DEPTH) -> Iterator[Charter]:
    """All adopted versions of the group that one of them belongs to, the founding first."""
    founding = path(db, group)[0]
    return iter(once(db, ("versions", founding, depth), lambda: tuple(_versions(db, founding, depth))))


def _versions(db: sqlite3.Connection, founding: BlockHash, depth: int) -> Iterator[Charter]:
    found = _founding(db, founding)
    for _ in range(MAX_VERSIONS):
        if found is None:
            return
        following = adopted(db, found, depth)
        if len(following) == 1:
            yield found
            found = following[0]
        else:
            yield replace(found, rivals=tuple(each.version for each in following))
            return


def adopted(db: sqlite3.Connection, base: Charter, depth: int = DEPTH) -> list[Charter]:
    """The versions that follow one: none, one, or several where members signed two histories."""
    return once(db, ("adopted", base.version, depth), lambda: _adopted(db, base, depth))


def _adopted(db: sqlite3.Connection, base: Charter, depth: int) -> list[Charter]:
    rows = db.execute(
        "SELECT a.id, said, proposer FROM group_amendment a JOIN group_proposal p ON p.id = a.id WHERE base = ?"
        " ORDER BY a.id",
        (base.version,),
    ).fetchall()
    found = []
    for id_, said, proposer in rows:
        if proposer not in base.members:
            continue
        spoke = adopters(db, base, id_)
        if spoke and len(spoken(db, base, spoke, depth)) >= base.majority:
            try:
                found.append(amended(base, BlockHash(id_), _amendment_decoder.decode(said)))
            except ValueError:
                continue  # it says nothing that a group can live by
    return found


def adopters(db: sqlite3.Connection, base: Charter, amendment: bytes) -> Mapping[PublicKey, Word]:
    """Whose nodes counted enough votes for an amendment, with their first word about what follows this version.

    What stands must not fall with a proof that somebody signed two histories: such a one's words all count, here.
    """
    return once(db, ("adopters", base.version, amendment), lambda: _adopters(db, base, amendment))


def _adopters(db: sqlite3.Connection, base: Charter, amendment: bytes) -> Mapping[PublicKey, Word]:
    evidence = Evidence(db, base, amendment, AMENDMENTS)
    valid = earliest(words(db, amendment), evidence, least_named(base, base.amendments, base.majority))
    first = first_in_slot(db, base.version, (base.version,)) if valid else {}
    return {
        author: word for author, word in valid.items() if first[author] == amendment or blocks.has_forked(db, author)
    }


def least_named(group: Charter, rule: Rule, least: int) -> int:
    """How many yes votes a word names at least; how many said no is the word of those who counted."""
    return least if rule.of_votes else max(least, rules.fewest(rule, len(group.members)))


def spoken(
    db: sqlite3.Connection, group: Charter, said: Mapping[PublicKey, Word], depth: int = DEPTH
) -> dict[PublicKey, int]:
    """Which members have spoken where these people have, and when (milliseconds): in the order of the members.

    A member that is a group speaks with the words of a majority of its own members, in any of its versions; once
    another follows that one, with words that an adopter gave before it adopted.
    """
    found: dict[PublicKey, int] = {}
    for member in group.members:
        inner = group_of(member)
        word = said.get(member)
        time = (word.time if word else None) if inner is None else _group_spoke(db, inner, said, depth)
        if time is not None:
            found[member] = time
    return found


def _group_spoke(db: sqlite3.Connection, group: BlockHash, said: Mapping[PublicKey, Word], depth: int) -> int | None:
    for version in versions(db, group, depth - 1) if depth > 0 and said else ():
        heard = before_adoption(db, version, said, depth - 1)
        times = sorted(spoken(db, version, heard, depth - 1).values())
        if len(times) >= version.majority:
            return times[version.majority - 1]
    return None


def before_adoption(
    db: sqlite3.Connection, version: Charter, said: Mapping[PublicKey, Word], depth: int = DEPTH
) -> Mapping[PublicKey, Word]:
    """The words that count under a version: all while nothing follows it, then those that an adopter gave before it
    adopted what follows. So what was decided stays, and nothing is added."""
    if not adopted(db, version, depth):
        return said
    last = once(db, ("last", version.version, depth), lambda: _last_words(db, version, depth))
    return {author: word for author, word in said.items() if word.sequence < last.get(author, 0)}


def _last_words(db: sqlite3.Connection, version: Charter, depth: int) -> dict[PublicKey, int]:
    """Where on their chains the adopters of what follows a version adopted it."""
    last: dict[PublicKey, int] = {}
    for each in adopted(db, version, depth):
        for author, word in adopters(db, version, each.version).items():
            last[author] = min(word.sequence, last.get(author, word.sequence))
    return last


def _founding(db: sqlite3.Connection, group: bytes) -> Charter | None:
    row = db.execute(
        "SELECT founder, name, purpose, threshold, payments, texts FROM group_charter WHERE id = ?", (group,)
    ).fetchone()
    if row is None:
        return None
    rows = db.execute("SELECT member FROM group_member WHERE charter = ? ORDER BY position", (group,))
    members = tuple(PublicKey(member) for (member,) in rows)
    payments, texts = _rule_decoder.decode(row[4]), _rule_decoder.decode(row[5])
    said = db.execute("SELECT subject, rule FROM group_rule WHERE charter = ?", (group,))
    more = {subject: _rule_decoder.decode(rule) for subject, rule in said}
    limits = db.execute("SELECT limits FROM group_limit WHERE charter = ?", (group,)).fetchone()
    return Charter(
        id=BlockHash(group),
        founder=PublicKey(row[0]),
        name=row[1],
        purpose=row[2],
        members=members,
        threshold=row[3],
        payments=payments,
        texts=texts,
        amendments=more.get(AMENDMENTS, USUAL_AMENDMENTS),
        works=more.get(WORKS, payments),
        versions=(BlockHash(group),),
        roster=members,
        limits=_limits_decoder.decode(limits[0]) if limits else None,
    )


def honest(db: sqlite3.Connection, group: Charter) -> set[PublicKey]:
    """The members that are not proven to have signed two histories: only these have a vote."""
    if db.execute("SELECT 1 FROM forked LIMIT 1").fetchone() is None:  # as nearly always: one question, not one each
        return set(group.members)
    return {member for member in group.members if not blocks.has_forked(db, member)}
