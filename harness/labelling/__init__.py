"""What people are asked about a judge's answers, and the sheets they fill in."""
