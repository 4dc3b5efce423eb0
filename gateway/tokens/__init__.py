"""Tokens as such, without knowing any issuer: how they travel, how strictly they are read, which keys check them."""
