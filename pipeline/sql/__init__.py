"""Named SQL statements, one file per noun, and the migrations."""
