"""A data set in the formats of others, and theirs as a data set: one file a format."""
