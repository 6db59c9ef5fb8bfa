"""What Tuppence is measured by: a load generator and the floors that it must stay above."""
