"""Where functions keep what they remember: the contract of a state store, and the stores there are."""
