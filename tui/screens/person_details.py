"""A member in words, and why one trusts them."""

from rich.text import Text

from overlay.node.wire import Person, Reason, Why
from tui.screens.modal import facts
from tui.state import State, called
from tui.theme import AMBER, DIM, GREEN, RED, TEAL

# So many exchanges are named of those without which a score would be lower.
WEIGHTIEST = 3


def person_facts(person: Person, state: State) -> Text:
    """All that is known of a member."""
    proofs = [each for each in state.cheats.proofs if each.public_key == person.public_key]
    words = facts(
        ("Name", Text(called(person.name, person.public_key), f"bold {AMBER}")),
        ("Key", person.short),
        ("Trust", f"{person.score:.3f}, between {person.low:.3f} and {person.high:.3f}" if not person.me else ""),
        ("About", person.about),
        ("Now", Text("online", GREEN) if person.online or person.me else Text("not seen", DIM)),
        ("Kind", "a node without a person, always on" if person.headless else ""),
        ("Promises", ", ".join(each.promise for each in state.vouchers.vouchers if each.issuer == person.public_key)),
    )
    if person.proven_cheat:
        count = max(len(proofs), 1)
        words.append("\n\n✗ Proven cheat", f"bold {RED}")
        words.append(f"\nSigned two different histories ({count} {'proof' if count == 1 else 'proofs'}). ", RED)
        words.append("Everyone can check this; your node exchanges nothing with this key.", RED)
    return words


def why_words(why: Why) -> Text:
    """The paths along which trust comes, the widest first."""
    words = Text(f"Your trust in {why.member} is {why.score:.3f}.\n")
    if not why.reasons:
        return words.append("\nNo kept promise leads from you to them yet.", DIM)
    words.append("It comes along these kept promises:\n")
    for reason in sorted(why.reasons, key=lambda each: -each.share):
        words.append_text(_path(reason))
    words.append("\n" if why.without else "")
    for each in sorted(why.without, key=lambda one: one.score)[:WEIGHTIEST]:
        kept = f"what {each.provider or 'somebody'} kept for {each.receiver or 'somebody'}"
        words.append(f"\nWithout {kept} it would be {each.score:.3f}.", DIM)
    return words


def _path(reason: Reason) -> Text:
    words = Text(f"\n{reason.share:>5.0%}  ", f"bold {TEAL}")
    for at, step in enumerate(reason.steps):
        if at:
            words.append("\n       ")
        words.append(step.provider or "somebody", "not bold default")
        kept = len(step.blocks)
        words.append(f" kept {kept:,} {'promise' if kept == 1 else 'promises'} to ", f"not bold {DIM}")
        words.append(step.receiver or "somebody", "not bold default")
    return words
