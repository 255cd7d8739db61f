"""The conductor: Clip → Analysis (`analyzer`), its files (`writers`, `report`), and runs over many clips (`folder`)."""
