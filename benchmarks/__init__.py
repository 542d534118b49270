"""What conversion, rewriting and running cost, each beside the thing a user would compare with."""
