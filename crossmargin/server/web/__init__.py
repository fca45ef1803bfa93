"""Pages for people: made on the server of the same documents that the API answers, readable without any script."""
