"""The margin account: a static policy, the house view over all members, the venues' own units beside it."""
