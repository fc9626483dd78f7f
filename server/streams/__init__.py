"""Following what is appended: to threads, and to the change record."""
