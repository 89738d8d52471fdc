"""Units: what one training sample is. Each turns a corpus into batches; nothing else differs between them."""
