"""Values only: no input, no output, no clock."""
