"""The method `context`: one recipe for a sample of any size, from a single spot to the whole slide."""
