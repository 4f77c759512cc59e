"""How good answers are: measures of scores and labels, tables and plots of them."""
