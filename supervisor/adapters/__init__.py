"""One room per outside thing. Rooms here do not import each other, but for `fluent_bit`, which runs processes."""
