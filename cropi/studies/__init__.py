"""Do the method's claims hold? Studies read run folders, never live experiments."""
