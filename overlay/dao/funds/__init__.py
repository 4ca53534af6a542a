"""The treasury: what every signer checks alone, sessions of signing, the wallet."""
