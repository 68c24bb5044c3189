"""`medkit ingest`: any folder of medical images to bitmaps and a manifest."""
