"""What prices may do: haircuts estimated from their history, and whether such estimates hold."""
