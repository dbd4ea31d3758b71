"""Tables from run folders. No torch in here."""
