"""The settings that a user can choose, as Hydra groups: words and numbers only."""
