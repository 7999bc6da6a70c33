"""How good a model is: cases with tumour masks, cross-validation, tables and curves."""
