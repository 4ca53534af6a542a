"""The derived columns of the holdings view, worked out from all facts at once, slowly and plainly.

What they mean stands at the top of `overlay/economy/schema.py`, what a word is in `weighing.py` and `succession.py`.
The facts are taken as they were folded; of the code that derives from them nothing is used here. Where both come to the
same, they come to it from the definitions.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Tables = Mapping[str, Sequence[Row]]
# A leg as (proposal, position), or a holding as (source, index).
Place = tuple[int, int]

GENERATIONS, PLACES = 8, 1 << 32
NEITHER, ACCEPTED, REFUSED = 0, 1, 2
# Tables with derived columns, and what names a row of theirs.
KEYS = {
    "voucher_proposal": ("block",),
    "voucher_leg": ("proposal", "position"),
    "voucher_input": ("proposal", "position", "source", "idx"),
    "voucher_mint": ("block",),
    "voucher_holding": ("source", "idx"),
}


def differences(tables: Tables) -> list[str]:
    """What the columns say otherwise than the facts do, a sentence each."""
    found = list[str]()
    for name, due in Derivation(tables).columns().items():
        told = {tuple(row[each] for each in KEYS[name]): row for row in tables[name]}
        for key in sorted(told.keys() | due.keys()):
            what = f"{name.removeprefix('voucher_')} {'/'.join(map(str, key))}"
            found += _compared(what, told.get(key), due.get(key))
    return found


def _compared(what: str, told: Row | None, due: Row | None) -> Iterator[str]:
    if told is None or due is None:
        yield f"{what} {'is missing' if told is None else 'follows from nothing'}"
        return
    for column, value in due.items():
        if told[column] != value:
            yield f"{what}: {column} is {told[column]!r} and should be {value!r}"


class Derivation:
    """What follows from the facts in the tables; the derived columns in them are not looked at."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.halves = {row["id"]: row for row in tables["half"]}
        self.mints = {row["block"]: row for row in tables["voucher_mint"]}
        self.proposals = {row["block"]: row for row in tables["voucher_proposal"]}
        self.legs: dict[Place, Row] = {(row["proposal"], row["position"]): row for row in tables["voucher_leg"]}
        self.inputs = defaultdict[Place, list[Place]](list)
        for row in tables["voucher_input"]:
            self.inputs[row["proposal"], row["position"]].append((row["source"], row["idx"]))
        self.agreements = {number: list(self._agreements(row)) for number, row in self.proposals.items()}
        self.made = set[Place]()
        self.holdings = {(mint, 0): _holding(mint, row["agent"], row["quantity"]) for mint, row in self.mints.items()}
        self._make()
        judged = {leg: self._judge(leg) for leg in self.made}
        self.own = {leg: own for leg, (own, _) in judged.items() if own is not None}
        self.word = {leg: word for leg, (_, word) in judged.items()}
        self.standing = {leg for leg in self.own if self.word[leg] != REFUSED}

    def columns(self) -> dict[str, dict[tuple[int, ...], Row]]:
        """The derived columns of every row. `lost` is none in the tables: whoever reads them adds to each made leg
        without a place what `weighing.has_lost` answers, and None to the others."""
        spent = {source for leg, word in self.word.items() if word == ACCEPTED for source in self.inputs[leg]}
        return {
            "voucher_proposal": {(number,): self._answered(number) for number in self.proposals},
            "voucher_leg": {leg: self._leg(leg) for leg in self.legs},
            "voucher_input": {
                (*leg, *source): {"stage": self._stage(leg), "rank": self._rank(leg)}
                for leg, sources in self.inputs.items()
                for source in sources
            },
            "voucher_mint": {(number,): {"redeemed": str(self._redeemed(number))} for number in self.mints},
            "voucher_holding": {each: {**row, "live": int(each not in spent)} for each, row in self.holdings.items()},
        }

    def _answered(self, proposal: int) -> Row:
        sequence, _, block = min(self.agreements[proposal], default=(None, None, None))
        return {"agreed": sequence, "agreement": block}

    def _leg(self, leg: Place) -> Row:
        made, waits = leg in self.made, leg in self.made and leg not in self.own
        columns = {"made": int(made), "own": self.own.get(leg), "word": self.word.get(leg, NEITHER)}
        return {**columns, "beaten": int(self._is_beaten(leg)), "lost": bool(self._rivals(leg)) if waits else None}

    def _stage(self, leg: Place) -> int:
        if leg in self.made:
            return 3 if leg in self.standing else 2
        return int(self.legs[leg]["giver"] == self.proposals[leg[0]]["proposer"])

    def _redeemed(self, mint: int) -> int:
        issuer = self.mints[mint]["agent"]
        settled = [leg for leg, word in self.word.items() if word == ACCEPTED and not self._is_beaten(leg)]
        rows = [self.legs[leg] for leg in settled]
        return sum(row["quantity"] for row in rows if (row["voucher"], row["receiver"]) == (mint, issuer))

    def _agreements(self, proposal: Row) -> Iterator[tuple[int, bytes, int]]:
        """The halves by which the member asked has agreed, answering the very place; not to a mere offer."""
        fitting = (proposal["counterparty"], proposal["proposer"], proposal["sequence"])
        for row in self.tables["voucher_agreement"]:
            half = self.halves[row["block"]]
            said = (half["agent"], half["link_agent"], half["link_sequence"])
            if row["proposal"] == proposal["block"] and said == fitting and not proposal["is_offer"]:
                yield half["sequence"], half["hash"], half["id"]

    def _make(self) -> None:
        """Go through all legs until no further one is whole."""
        while due := [leg for leg in self.legs.keys() - self.made if self._is_whole(leg)]:
            for leg in due:
                self.made.add(leg)
                self.holdings.update(self._outputs(leg))

    def _is_whole(self, leg: Place) -> bool:
        row = self.legs[leg]
        found = [self.holdings[source] for source in self.inputs[leg] if source in self.holdings]
        fitting = [each for each in found if (each["voucher"], each["holder"]) == (row["voucher"], row["giver"])]
        total = sum(each["quantity"] for each in fitting)
        is_known = row["voucher"] in self.mints and len(fitting) == len(self.inputs[leg])
        return bool(self.agreements[leg[0]]) and is_known and total == row["quantity"] + row["change"]

    def _outputs(self, leg: Place) -> Iterator[tuple[Place, Row]]:
        row = self.legs[leg]
        if row["receiver"] != self.mints[row["voucher"]]["agent"]:
            yield (leg[0], 2 * leg[1]), _holding(row["voucher"], row["receiver"], row["quantity"])
        if row["change"]:
            yield (leg[0], 2 * leg[1] + 1), _holding(row["voucher"], row["giver"], row["change"])

    def _judge(self, leg: Place) -> tuple[int | None, int]:
        """The place of the issuer's word where its first accepts, and what all issuers' words come to."""
        row = self.legs[leg]
        own = self._words(leg[0], self.mints[row["voucher"]]["agent"], row["parts"])
        named = [each for each in self.tables["voucher_issuer"] if (each["proposal"], each["position"]) == leg]
        others = [self._words(leg[0], each["issuer"], each["parts"]) for each in named]
        place = own[0][0] if own and own[0][1] else None
        have_accepted = all(_has_said(words, yes=True) for words in others)
        has_refused = any(_has_said(words, yes=False) for words in others)
        if (own and place is None) or (has_refused and (_has_said(own, yes=False) or not have_accepted)):
            return place, REFUSED
        return place, ACCEPTED if place is not None and have_accepted else NEITHER

    def _words(self, proposal: int, issuer: int, parts: int) -> list[tuple[int, bool]]:
        """What an issuer, and behind it each who goes on for it, has said of these parts, by place; where a fork makes
        places equal, a no goes first."""
        line, agreements = self._line(issuer), self.agreements[proposal]
        words = [
            (line[row["author"]] * PLACES + row["sequence"], bool(row["first"]))
            for row in self.tables["voucher_witness"]
            if row["proposal"] == proposal and row["author"] in line and row["legs"] == parts
            if any(row["agreement"] == block for _, _, block in agreements)
        ]
        if issuer == self.proposals[proposal]["counterparty"]:
            words.append(self._answer(proposal, issuer, min(agreements)[0]))
        return sorted(words)

    def _answer(self, proposal: int, issuer: int, agreed: int) -> tuple[int, bool]:
        """The word of an issuer to whom it was proposed: its agreement, unless it had declined before."""
        rows = self.tables["voucher_cancellation"]
        own = [row["sequence"] for row in rows if (row["proposal"], row["author"]) == (proposal, issuer)]
        declined = min(own, default=agreed)
        return (declined, False) if declined < agreed else (agreed, True)

    def _line(self, issuer: int) -> dict[int, int]:
        """Who speaks for an issuer, each with its generation."""
        line, claims = {issuer: 0}, self.tables["voucher_heir"]
        for generation in range(1, GENERATIONS + 1):
            heirs = {row["author"] for row in claims if line.get(row["agent"]) == generation - 1}
            line |= dict.fromkeys(heirs - line.keys(), generation)
        return line

    def _order(self, leg: Place) -> tuple[int, bytes, int]:
        return self.own[leg], self.halves[leg[0]]["hash"], leg[1]

    def _rank(self, leg: Place) -> bytes | None:
        if leg not in self.own:
            return None
        place, proposal, position = self._order(leg)
        return place.to_bytes(8) + proposal + position.to_bytes(1)

    def _rivals(self, leg: Place) -> list[Place]:
        """The other legs that stand on an input of this one."""
        inputs = set(self.inputs[leg])
        return [each for each in self.standing if each != leg and inputs.intersection(self.inputs[each])]

    def _is_beaten(self, leg: Place) -> bool:
        return leg in self.own and any(self._order(rival) < self._order(leg) for rival in self._rivals(leg))


def _holding(voucher: int, holder: int, quantity: int) -> Row:
    return {"voucher": voucher, "holder": holder, "quantity": quantity}


def _has_said(words: Iterable[tuple[int, bool]], *, yes: bool) -> bool:
    return any(said == yes for _, said in words)
