"""Price sources whose price is computed of followed feeds, of numbers that contracts tell, of parameters and of time."""
