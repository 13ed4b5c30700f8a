"""What turns the data of an update into other parameters."""
