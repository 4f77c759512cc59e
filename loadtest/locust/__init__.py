"""Step-wise load by Locust: its users, its limits and its runs."""
