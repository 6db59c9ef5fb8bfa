"""What is read of money as a whole: statements, books, payments."""
