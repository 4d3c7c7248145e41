"""What is wrong with the data itself: one module for each question, each with a tally and its findings."""
