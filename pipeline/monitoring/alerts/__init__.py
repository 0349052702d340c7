"""What a person should know: seen in the record, kept as rows, told through channels."""
