"""The version of ippo, written here alone: packaging reads it, and every picture says which version made it."""

VERSION = "0.1.0"
