"""The compiled twins of `kernels/plain.py`, with the extra `fast`; nothing else imports them."""
