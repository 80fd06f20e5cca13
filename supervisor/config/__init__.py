"""Reading and writing Fluent Bit config: pure functions from text to values and back."""
