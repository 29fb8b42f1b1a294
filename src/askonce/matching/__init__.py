"""Equivalence of questions: is the stored answer to one text right for another? Pure throughout.

Read in this order: `text` cuts a question into words, `subject` collects those that carry its subject, `analysis` says
what the others contribute, `alignment` pairs two questions' words, `guards` name the differences that forbid sharing,
`objections` those that speak against it, `signals` measures all of them, and `verifier` turns that into a verdict. `vocabulary` knows which words are common in a partition, and
`conversation` tells questions that lean on earlier turns. The word lists are in `lexicon`.
"""
