"""What does a value say by its shape alone: a regular expression, a network destination, a path?"""
