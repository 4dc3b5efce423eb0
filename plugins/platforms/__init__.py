"""Identity platforms: where people sign in, and who judges the tokens that they get there."""
