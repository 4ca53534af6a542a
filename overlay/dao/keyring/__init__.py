"""The keys of a group: made together, held in shares, dealt anew when members change, recovered."""
