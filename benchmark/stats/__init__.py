"""From score rows to tables: the leaderboard with its intervals, tests, and what each option changes."""
