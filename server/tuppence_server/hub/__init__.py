"""Who is connected here, and what each connection still has to get."""
