"""What routes answer: a module for each room, a model for each answer, with exactly the keys that are answered."""
