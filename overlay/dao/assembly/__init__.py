"""Who decides, and how: charters and their versions, proposals, votes, tallies, councils, and what came of it."""
