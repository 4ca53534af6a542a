"""Chapter 6: a copy of the mechanic's data folder tries to spend the same bread again."""

from scripts.story.processes import until
from scripts.story.rest import Member, NodeRefused
from scripts.story.town import Town


def cheat(town: Town) -> None:
    town.chapter("6. A cheat")
    folder = town.processes.start_cheat("cheat")
    copy = Member("cheat", folder)

    def is_up() -> bool:
        town.processes.check_alive("cheat")
        return copy.is_up

    until("the cheat's node starts", is_up, 30)
    town.say("Somebody runs an old copy of the mechanic's folder, with its safety checks torn out.")
    welder = town["welder"]
    spent = copy.post("exchange/give", to="welder", voucher=town.ids["bread"], quantity=100, note="for a favour")["id"]
    until(
        "the welder's node answers the cheat",
        lambda: town.exchange(welder, spent).get("standing") in ("cancelled", "refused"),
        40,
    )
    refusal = town.exchange(welder, spent)
    try:
        welder.post("exchange/accept", id=spent)
        accepted = True
    except NodeRefused as refused:
        accepted = False
        town.say(f"The welder's node refuses: {refused}.")
    town.report["refused_double_spend"] = not accepted and refusal["standing"] in ("cancelled", "refused")
    town.check("the same bread cannot be spent again", holds=town.report["refused_double_spend"])
    town.check(
        "the welder holds none of it",
        holds=town.holds("welder", "bread") + town.holds("welder", "bread", "provisional") == 0,
    )


def proof_reaches_everyone(town: Town) -> None:
    mechanic = town["mechanic"].public_key
    for member in town.everyone:
        until(f"the proof reaches the {member.name}", lambda m=member: _is_proven(m, mechanic), 30)  # type: ignore[misc]
    seen = [member.name for member in town.everyone if _is_proven(member, mechanic)]
    town.report["fork_proof_seen_by"] = seen
    town.check(
        "the proof reached every node", holds=len(seen) == len(town.everyone), shown=f"{len(seen)} of {len(seen)}"
    )
    marked = [person for person in town["farmer"].get("people/list")["people"] if person["proven_cheat"]]
    town.check("the cheat shows as proven", holds=[person["name"] for person in marked] == ["mechanic"])
    town.say("Two statements of one key at one place are proof in themselves: within moments every node has it.")


def _is_proven(member: Member, key: str) -> bool:
    return any(proof["public_key"] == key for proof in member.get("people/cheats")["proofs"])
