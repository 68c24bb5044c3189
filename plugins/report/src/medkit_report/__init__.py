"""What a run leaves behind, as a medkit plugin: tables, scores and one self-contained page."""
