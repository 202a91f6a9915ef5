"""The verbs: observe, parse, chunk, embed, stage, publish. Plain functions over a workspace."""
