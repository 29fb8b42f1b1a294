"""Files that ship with the package: the embedder's model, prices, the demo's questions."""
