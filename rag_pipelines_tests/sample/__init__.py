"""The sample knowledge base is what its README says."""
