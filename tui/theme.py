"""Colours: a dark desk, paper-coloured text, and one colour for each thing that a member must tell apart."""

from textual.theme import Theme

# Contrast against BACKGROUND is at least 4.5 to 1 for every colour that text is written in (WCAG AA).
BACKGROUND = "#15181e"
SURFACE = "#1b1f27"
PANEL = "#272d38"
TEXT = "#dcdfe4"
DIM = "#8c95a3"
AMBER = "#e3b25f"  # ours: what one can act on
TEAL = "#6fc3b2"  # facts: numbers, scores
GREEN = "#93c97d"  # final, yes, online
ORANGE = "#eb9b50"  # provisional, waiting
RED = "#f07a74"  # refused, no, proven cheats

COUNTERFOIL = Theme(
    name="counterfoil",
    primary=AMBER,
    secondary=TEAL,
    accent=AMBER,
    success=GREEN,
    warning=ORANGE,
    error=RED,
    foreground=TEXT,
    background=BACKGROUND,
    surface=SURFACE,
    panel=PANEL,
    dark=True,
    variables={
        "footer-background": PANEL,
        "footer-key-foreground": AMBER,
        "footer-description-foreground": TEXT,
        "block-cursor-background": "#3c4557",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#262c37",
        "block-cursor-blurred-foreground": TEXT,
        "input-selection-background": "#4d5a72",
        "border": AMBER,
        "border-blurred": "#3a4250",
    },
)
