"""Equivalence of questions: is the stored answer to one text right for another? Pure throughout.

Read in this order: `text` cuts a question into words, `subject` collects those that carry its subject (`terms`),
`grammar` reads what the others say and `material` what is given to work on, `analysis` puts that together, `alignment`
pairs two questions' words (`pair`) and `arrangement` compares their order. `guards` (with `literal_guards` and
`grammar_guards`) name the differences that forbid sharing, `objections` those that speak against it, `signals` measures
all of them, and `verifier` turns that into a judgement.
`vocabulary` knows which words are common in a partition, and
`conversation` tells questions that lean on earlier turns. The word lists are in `lexicon`.
"""
