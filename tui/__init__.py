"""The terminal interface of a member; it knows a node only by the wire models of its REST interface."""
