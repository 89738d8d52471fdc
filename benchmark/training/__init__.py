"""Pretraining: the loop, the budget and its meter, a unit with its model as a method, and the speed of a step."""
