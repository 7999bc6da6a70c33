"""Evaluation of models: cases with tumour masks, cross-validation, tables and curves."""
