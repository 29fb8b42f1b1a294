"""How well the semantic tier judges: labelled pairs, and streams of questions, beside baselines."""
