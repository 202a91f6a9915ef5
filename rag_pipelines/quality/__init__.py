"""What data must look like before it is published: facts in, checks out. Reads no catalog and no engine."""
