"""Speed beside what a user would pick instead: each contender in turn, in one process, with ratios."""
