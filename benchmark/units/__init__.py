"""Units: what one training sample is. Each turns a corpus into batches. Nothing else differs between them."""
