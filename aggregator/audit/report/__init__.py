"""The report of a snapshot for people: one page that needs nothing but itself."""
